//! In: what the parser found. Out: the instructions as types, words not yet expanded.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Begins a stage.
    From(From),
    /// Runs a command.
    Run(Run),
    /// Copies from the context, another stage or an image.
    Copy(Copy),
    /// COPY that also unpacks local archives and fetches URLs.
    Add(Copy),
    /// Environment of the image and of later steps.
    Env(Vec<KeyValue>),
    /// Build arguments, with their defaults.
    Arg(Vec<(String, Option<String>)>),
    /// Labels.
    Label(Vec<KeyValue>),
    /// Working directory.
    Workdir(String),
    /// User.
    User(String),
    /// Ports, `80` or `80/udp`.
    Expose(Vec<String>),
    /// Mount points.
    Volume(Vec<String>),
    /// Default arguments or command.
    Cmd(Words),
    /// Default program.
    Entrypoint(Words),
    /// Shell of the shell form.
    Shell(Vec<String>),
    /// Health probe.
    Healthcheck(HealthcheckInstruction),
    /// Stop signal.
    StopSignal(String),
    /// Instruction for images built on this one, as written.
    OnBuild(String),
    /// Author (deprecated).
    Maintainer(String),
}

/// A command line in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// `["program", "argument"]`.
    Exec(Vec<String>),
    /// One line for the shell.
    Shell(String),
}

/// `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Image, stage or named context; `scratch`.
    pub image: String,
    /// `AS`, lower-cased.
    pub name: Option<String>,
    /// `--platform`.
    pub platform: Option<String>,
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What runs; with heredocs, their text is in [`Self::heredocs`].
    pub command: Words,
    /// Documents given on standard input or, alone, as the script.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, in order.
    pub mounts: Vec<Mount>,
    /// `--network`.
    pub network: Option<String>,
    /// `--security`.
    pub security: Option<String>,
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Sources; empty only with heredocs.
    pub sources: Vec<String>,
    /// Files written in place: file name and content.
    pub heredocs: Vec<Heredoc>,
    /// Destination.
    pub destination: String,
    /// `--from`.
    pub from: Option<String>,
    /// `--chown`.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<String>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`, in order.
    pub exclude: Vec<String>,
    /// `--checksum` of ADD.
    pub checksum: Option<String>,
    /// `--keep-git-dir` of ADD.
    pub keep_git_dir: bool,
    /// `--unpack` of ADD; none is by content.
    pub unpack: Option<bool>,
}

/// One `NAME=value` of ENV or LABEL; the value is a raw word, quotes and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// Name, a raw word.
    pub name: String,
    /// Value, a raw word; in the old `ENV NAME the rest` form it may have blanks.
    pub value: String,
}

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthcheckInstruction {
    /// `NONE`.
    None,
    /// `CMD`.
    Probe {
        /// What runs.
        command: Words,
        /// `--interval`, as written.
        interval: Option<String>,
        /// `--timeout`.
        timeout: Option<String>,
        /// `--start-period`.
        start_period: Option<String>,
        /// `--start-interval`.
        start_interval: Option<String>,
        /// `--retries`.
        retries: Option<String>,
    },
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Its word, `EOF`; the file's name in COPY.
    pub name: String,
    /// Text as written, line ends and leading tabs included.
    pub content: String,
    /// The word was not quoted: variables are expanded in COPY (the shell does it in RUN).
    pub expand: bool,
    /// `<<-`: leading tabs of every line do not count; the shell of a RUN sees to it itself.
    pub strip_tabs: bool,
}

impl Heredoc {
    /// The text it stands for: without leading tabs where `<<-` says so.
    pub fn text(&self) -> String {
        if !self.strip_tabs {
            return self.content.clone();
        }
        let lines = self.content.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// `RUN --mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `type=`.
    pub kind: MountKind,
    /// `target=`, `dst=`, `destination=`.
    pub target: Option<String>,
    /// `source=`, `src=`.
    pub source: Option<String>,
    /// `from=`.
    pub from: Option<String>,
    /// `id=`.
    pub id: Option<String>,
    /// `ro`, `rw` and their longer names.
    pub read_only: Option<bool>,
    /// `sharing=`: `shared`, `private`, `locked`.
    pub sharing: Option<String>,
    /// `mode=`.
    pub mode: Option<String>,
    /// `uid=`.
    pub uid: Option<String>,
    /// `gid=`.
    pub gid: Option<String>,
    /// `size=`.
    pub size: Option<String>,
    /// `required`.
    pub required: bool,
    /// `env=`.
    pub env: Option<String>,
}

/// Kind of a RUN mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// From the context or a stage; the default.
    Bind,
    /// Kept between builds.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret of the build.
    Secret,
    /// An agent's socket.
    Ssh,
}

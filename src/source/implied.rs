//! The rules by which a tree holds values that nobody wrote: a node made by one carries its name, and
//! `config --explain` says it in words. **Invariant:** a name is one byte, so that marking a node costs nothing.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Why a value is there that no file says (Compose Specification, defaults and short forms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implied {
    /// The project's name: by flag, variable or directory.
    ProjectName,
    /// A network, volume, config or secret is called `<project>_<key>`.
    ResourceName,
    /// What is external is called as its key.
    ExternalName,
    /// `external: {name: …}` is external.
    External,
    /// A service that names no network is on `default`.
    DefaultNetwork,
    /// A name alone waits for the start.
    StartedCondition,
    /// A dependency is required.
    RequiredDependency,
    /// Links, shared namespaces and shared volumes are dependencies.
    ImpliedDependency,
    /// `mode: ingress` of a port.
    PortMode,
    /// `protocol: tcp` of a port.
    PortProtocol,
    /// One port of a range.
    PortOfRange,
    /// Whether a volume is a bind mount, told from its source.
    VolumeType,
    /// An option of a volume's short form, such as `ro`.
    VolumeOption,
    /// A section that the short form of a volume always has.
    VolumeSection,
    /// A bind mount written short makes its directory.
    CreateHostPath,
    /// What may be done with a device, written short.
    DevicePermissions,
    /// A request without count and ids is for every device.
    EveryDevice,
    /// Where a secret without a target goes.
    SecretTarget,
    /// An environment file must be there.
    RequiredFile,
    /// A build without context is from the project's directory.
    BuildContext,
    /// `Dockerfile`.
    Dockerfile,
    /// A hook without an image runs in the service's.
    HookImage,
    /// `scale` and `deploy.replicas` say the same.
    Replicas,
    /// A test that is one text is run by a shell.
    ShellProbe,
    /// A name without a value: it is that of the project's environment.
    FromEnvironment,
    /// A name without a value, and there is none to give it.
    NoValue,
    /// Printed even when nothing is said: the image decides.
    ImageDecides,
}

impl Implied {
    /// The rule as a sentence without a period.
    pub fn words(self) -> &'static str {
        match self {
            Self::ProjectName => "the project's name",
            Self::ResourceName => "not written: it is called by the project and its key",
            Self::ExternalName => "not written: what is external is called as its key",
            Self::External => "`external` with a name inside means that it is external",
            Self::DefaultNetwork => "not written: a service that names no network is on `default`",
            Self::StartedCondition => "not written: a dependency that is only named must have started",
            Self::RequiredDependency => "not written: a dependency is required",
            Self::ImpliedDependency => "not written: a service depends on what this names",
            Self::PortMode => "not written: the mode of a port is ingress",
            Self::PortProtocol => "not written: the protocol of a port is tcp",
            Self::PortOfRange => "one port of this range",
            Self::VolumeType => "the short form: a path is a bind mount, anything else a volume",
            Self::VolumeOption => "an option of this short form",
            Self::VolumeSection => "what the short form stands for",
            Self::CreateHostPath => "not written: the short form makes a directory that is not there",
            Self::DevicePermissions => "not written: a device may be read, written and made",
            Self::EveryDevice => "not written: a request without count and ids is for every device",
            Self::SecretTarget => "not written: a secret is mounted in /run/secrets",
            Self::RequiredFile => "not written: an environment file must be there",
            Self::BuildContext => "not written: a build is from the directory of its project",
            Self::Dockerfile => "not written: a build reads Dockerfile",
            Self::HookImage => "not written: a hook runs in the image of its service",
            Self::Replicas => "not written: the replicas are what `scale` says",
            Self::ShellProbe => "the short form: a test that is one text is run by a shell",
            Self::FromEnvironment => "named without a value: the environment gives it",
            Self::NoValue => "named without a value, and nothing gives it one",
            Self::ImageDecides => "not written: what the image says counts",
        }
    }
}

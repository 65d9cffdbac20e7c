//! What may stand at a place of a Compose file, as data: one description drives both the checking and the printing.
//! **Invariant:** the tables that use this are constants; nothing here looks at a file.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::fate::Fate;
use super::keys::Keys;

/// What a value may be, and what it is printed as.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) enum Shape {
    /// A text.
    Text,
    /// A text or `null`.
    TextOrNull,
    /// A number or a text, printed as text.
    NumberOrText,
    /// A boolean or a word for one; false is not printed.
    Flag,
    /// A boolean or a word for one whose absence means something else than false.
    Choice,
    /// Like `Choice`, but printed only when false.
    OptOut,
    /// A boolean; words are refused.
    StrictFlag,
    /// A boolean or a text, printed as text.
    FlagOrText,
    /// A whole number, or a text of one, in a range; zero is not printed.
    Integer(i64, i64),
    /// Like `Integer`, but zero means something else than absence.
    Count,
    /// Like `Count`, but not negative.
    Natural,
    /// Like `Natural`; of a number with a fraction the whole part counts.
    Tries,
    /// A number whose whole part counts, or a text of a whole one; zero is not printed.
    Number,
    /// Like `Number`, but texts are refused.
    StrictNumber,
    /// Like `Integer` from 0 up, but texts are refused.
    StrictNatural,
    /// A whole number or a text, printed as text.
    IntegerOrText,
    /// `all` (-1), a whole number or a text of one.
    DeviceCount,
    /// A number, or a text of one; zero is not printed.
    Decimal,
    /// A number of bytes, or a text such as `64m`; printed as a text of digits. A number written with a point says
    /// nothing.
    Bytes,
    /// Like `Bytes`, but a number with a fraction is refused.
    WholeBytes,
    /// Like `WholeBytes`, but not negative.
    Size,
    /// A text of a size (numbers are refused), printed like `Bytes`.
    BytesText,
    /// A text such as `1m30s`.
    Duration,
    /// Like `Duration`, but zero is not printed.
    Wait,
    /// Permission bits in octal, printed as text.
    Mode,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A command: `null`, one line split like a shell does, or a list.
    Command,
    /// A list of texts.
    Texts,
    /// A list of texts without repetition.
    Set,
    /// A text or a list of texts.
    TextOrTexts,
    /// A text or a list of texts without repetition.
    TextOrSet,
    /// The test of a healthcheck: one line for a shell, or a list that begins with `CMD`, `CMD-SHELL` or `NONE`.
    Probe,
    /// A mapping or a list of `KEY=VALUE`; printed as a mapping of texts. With true, a key without value is `null`
    /// rather than empty.
    Pairs(bool),
    /// SSH agents and keys of a build: `default`, `id=path`; printed as a list.
    Ssh,
    /// A mapping from any name to a text, number, boolean or list of them; printed as lists of texts.
    TextLists,
    /// Host names with addresses: a mapping, or a list of `host=address`.
    Hosts,
    /// A mapping from any name to a text or number, printed as text.
    TextMap,
    /// Like `TextMap`, but a name may stand without a value.
    Options,
    /// A mapping from names to values of one shape.
    Map(&'static Shape),
    /// A list of values of one shape.
    List(&'static Shape),
    /// Like `List`, without repetition.
    SetOf(&'static Shape),
    /// A mapping with known keys.
    Object(&'static Object),
    /// A text as a short way of writing the shape.
    OrText(&'static Shape),
    /// A text or a number as a short way of writing the shape.
    OrPort(&'static Shape),
    /// A list of names as a short way of writing a mapping.
    OrNames(&'static Shape),
    /// A whole number as a short way of writing the shape.
    OrInteger(&'static Shape),
    /// The shape or `null`.
    OrNull(&'static Shape),
    /// `external:`: a boolean, or the legacy mapping with a name.
    External,
}

/// A mapping with known keys.
#[derive(Debug)]
pub(in crate::model) struct Object {
    /// What a person calls it: `a service`, `a build`.
    pub(in crate::model) title: &'static str,
    /// Its keys in the order they are printed.
    pub(in crate::model) keys: Keys,
    /// Keys that must be there.
    pub(in crate::model) required: &'static [&'static str],
    /// Keys that are printed as `null` when they are absent.
    pub(in crate::model) always: &'static [&'static str],
    /// Whether `x-` keys may stand here.
    pub(in crate::model) extensible: bool,
}

/// A key of an [`Object`].
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Key {
    /// Its name.
    pub(in crate::model) name: &'static str,
    /// What it holds.
    pub(in crate::model) shape: Shape,
    /// What becomes of it here.
    pub(in crate::model) fate: Fate,
}

/// A key for the tables, honoured unless something else is said of it.
pub(in crate::model) const fn key(name: &'static str, shape: Shape) -> Key {
    Key {
        name,
        shape,
        fate: Fate::Honoured,
    }
}

impl Object {
    /// Where a key stands among the others, from 0.
    pub(in crate::model) fn rank(&self, name: &str) -> Option<usize> {
        self.keys.rank(name)
    }

    /// A key by its name.
    pub(in crate::model) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.all().get(self.rank(name)?)
    }

    /// The shape of a key.
    pub(in crate::model) fn shape(&self, name: &str) -> Option<&'static Shape> {
        self.key(name).map(|key| &key.shape)
    }
}

impl Shape {
    /// What a person should write here, with an article.
    pub(in crate::model) fn expected(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::TextOrNull => "text or nothing".to_owned(),
            Self::NumberOrText => "a number or text".to_owned(),
            Self::Flag | Self::Choice | Self::OptOut | Self::StrictFlag | Self::External => {
                "`true` or `false`".to_owned()
            }
            Self::FlagOrText => "`true`, `false` or text".to_owned(),
            Self::Integer(..) | Self::Count | Self::Natural | Self::StrictNatural => {
                "a whole number".to_owned()
            }
            Self::Tries | Self::Number | Self::StrictNumber | Self::Decimal => "a number".to_owned(),
            Self::IntegerOrText => "a whole number or text".to_owned(),
            Self::DeviceCount => "`all` or a whole number".to_owned(),
            Self::Bytes | Self::WholeBytes | Self::Size => "a size such as `64m` or `2g`".to_owned(),
            Self::BytesText => "a size in text such as `64m` or `2g`".to_owned(),
            Self::Duration | Self::Wait => "a duration such as `30s` or `1m30s`".to_owned(),
            Self::Mode => "a file mode such as `0440`".to_owned(),
            Self::Word(words) => one_of(words),
            Self::Command => "a command line, or a list of its words".to_owned(),
            Self::Texts | Self::Set => "a list of texts".to_owned(),
            Self::TextOrTexts | Self::TextOrSet | Self::Probe => "text or a list of texts".to_owned(),
            Self::Pairs(_) | Self::Ssh => "a mapping, or a list of `KEY=VALUE`".to_owned(),
            Self::Hosts => "a mapping of host names to addresses, or a list of `host=address`".to_owned(),
            Self::List(_) | Self::SetOf(_) => "a list".to_owned(),
            Self::TextMap | Self::Options | Self::TextLists | Self::Map(_) | Self::Object(_) => {
                "a mapping".to_owned()
            }
            Self::OrText(shape) => format!("text, or {}", shape.expected()),
            Self::OrPort(shape) => format!("a number, text, or {}", shape.expected()),
            Self::OrNames(shape) => format!("a list of names, or {}", shape.expected()),
            Self::OrInteger(shape) => format!("a whole number, or {}", shape.expected()),
            Self::OrNull(shape) => format!("{} or nothing", shape.expected()),
        }
    }
}

/// `a`, `b` or `c`, each in backticks.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

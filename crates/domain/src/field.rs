//! One setting as a connector's table declares it: type, default, what a change does and gives.

/// A setting's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A duration as people write it (`1h`), compared by length, the prior spelling kept.
    Span,
    /// `YYYY-MM-DD`.
    Date,
    /// A switch.
    Flag,
    /// A count.
    Count,
    /// A set of texts.
    Texts,
    /// An address block in CIDR notation, as a set.
    Cidrs,
    /// URIs, as a set.
    Uris,
}

/// A setting's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// None: absent stays absent.
    None,
    /// Ours, as it would be written.
    Ours(&'static str),
    /// Ours, a set.
    OursTexts(&'static [&'static str]),
    /// The platform chooses; its choice is kept.
    Vendor,
}

/// What a change of a setting does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// Changes the object in place.
    InPlace,
    /// Needs another object.
    Replace,
    /// Fixed at issue: needs a rotation.
    Rotate,
}

/// When a change of a setting gives power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grows {
    /// Never.
    Never,
    /// When it becomes more, longer or larger, or gains a member.
    More,
    /// When it becomes less or loses a member.
    Less,
    /// When it becomes true.
    True,
    /// When it becomes false.
    False,
    /// With any change.
    Any,
}

/// What an absent setting means for power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Nothing special: absent and present compare as different, without direction.
    Neutral,
    /// Absent is the widest of all: unrestricted.
    Widest,
    /// Absent is the narrowest of all: nothing.
    Narrowest,
}

/// One setting of a kind, of a credential type, or of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in HCL.
    pub name: &'static str,
    /// Its type.
    pub field_type: FieldType,
    /// It must be set.
    pub required: bool,
    /// Its default.
    pub default: Default,
    /// What a change does.
    pub on_change: OnChange,
    /// When a change gives power.
    pub grows: Grows,
    /// What absence means.
    pub absent: Absent,
    /// One or two sentences for people: what it is, units, default.
    pub doc: &'static str,
}

impl Field {
    /// A text that may be left out, changes in place, and gives no power: what tables begin from.
    pub const TEXT: Field = Field {
        name: "",
        field_type: FieldType::Text,
        required: false,
        default: Default::None,
        on_change: OnChange::InPlace,
        grows: Grows::Never,
        absent: Absent::Neutral,
        doc: "",
    };
}

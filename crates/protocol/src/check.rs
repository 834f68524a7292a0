//! Checks an operation as a server must before it looks at its content: total, one typed error.

use crate::hash::{Content, FIELDS_MAX, FieldHasher, PUBLIC_KEY, hash_text, op_hash};
use crate::hlc::{Hlc, HlcError};
use crate::key::{KeyError, check_rid};
use crate::value::ValueError;
use crate::wire::{FIELD_NAME_BYTES_MAX, NAME_BYTES_MAX, OP_ID_BYTES_MAX, Op, OpKind, code};

/// Why an operation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The id is not `<incarnation>.<n>`, or too long.
    #[error("op is not <incarnation>.<n>")]
    Id,
    /// A name is empty or longer than [`NAME_BYTES_MAX`].
    #[error("{0} is empty or longer than {NAME_BYTES_MAX} bytes")]
    Name(&'static str),
    /// The record id.
    #[error("rid: {0}")]
    Rid(#[from] KeyError),
    /// The clock.
    #[error("hlc: {0}")]
    Hlc(#[from] HlcError),
    /// A `put` without a value.
    #[error("put without a value")]
    NoValue,
    /// The kind does not go with the parts that are there.
    #[error("the kind does not have this part: {0}")]
    Part(&'static str),
    /// A patch without its parts, of more than twice [`FIELDS_MAX`] fields, or one that names a field
    /// twice.
    #[error("a patch has neither `set` nor `unset`, or more than 512 names, or one twice")]
    Patch,
    /// A patch of a field whose name is longer than [`FIELD_NAME_BYTES_MAX`].
    #[error("a patch names a field by more than {FIELD_NAME_BYTES_MAX} bytes")]
    FieldName,
    /// The value, or one of the fields set.
    #[error("value: {0}")]
    Value(#[from] ValueError),
    /// The hash is not that of the content.
    #[error("the content does not have the hash it names")]
    Hash,
}

impl OpError {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Id
            | Self::Name(_)
            | Self::Hlc(_)
            | Self::Part(_)
            | Self::Patch
            | Self::FieldName => code::MALFORMED,
            Self::Rid(_) => code::BAD_KEY,
            Self::NoValue => code::BAD_VALUE,
            Self::Value(error) => error.code(),
            Self::Hash => code::HASH_MISMATCH,
        }
    }
}

impl Op {
    /// Checks everything that can be told from the operation alone, its hash included.
    ///
    /// # Errors
    /// [`OpError`], the first that is found; [`OpError::code`] is its code on the wire.
    pub fn check(&self) -> Result<(), OpError> {
        check_id(&self.op)?;
        check_name("space", &self.space)?;
        check_name("table", &self.table)?;
        check_rid(&self.rid)?;
        self.hlc.parse::<Hlc>()?;
        let hash = match self.kind {
            OpKind::Put => self.check_put()?,
            OpKind::Patch => self.check_patch()?,
            OpKind::Delete => self.check_delete()?,
        };
        if hash_text(hash) == self.hash {
            Ok(())
        } else {
            Err(OpError::Hash)
        }
    }

    fn check_put(&self) -> Result<u64, OpError> {
        absent("set", self.set.is_some())?;
        absent("unset", self.unset.is_some())?;
        let value = self.value.as_ref().ok_or(OpError::NoValue)?;
        let fields = FieldHasher::new(PUBLIC_KEY).field_hashes(value.get().as_bytes())?;
        Ok(self.hash_of(Content::Put(&fields)))
    }

    fn check_patch(&self) -> Result<u64, OpError> {
        absent("value", self.value.is_some())?;
        let mut hasher = FieldHasher::new(PUBLIC_KEY);
        let mut set = Vec::new();
        for (name, value) in self.set.iter().flatten() {
            set.push((name.as_str(), hasher.field_digest(value.get().as_bytes())?));
        }
        let mut unset: Vec<&str> = self.unset.iter().flatten().map(String::as_str).collect();
        unset.sort_unstable();
        let mut names: Vec<&str> = set
            .iter()
            .map(|field| field.0)
            .chain(unset.iter().copied())
            .collect();
        names.sort_unstable();
        // A patch of nothing asks for the record; one without its parts is damaged.
        if (self.set.is_none() && self.unset.is_none())
            || names.len() > FIELDS_MAX * 2
            || !names.is_sorted_by(|one, next| one < next)
        {
            return Err(OpError::Patch);
        }
        if names.iter().any(|name| FIELD_NAME_BYTES_MAX < name.len()) {
            return Err(OpError::FieldName);
        }
        Ok(self.hash_of(Content::Patch {
            set: &set,
            unset: &unset,
        }))
    }

    fn check_delete(&self) -> Result<u64, OpError> {
        absent("value", self.value.is_some())?;
        absent("set", self.set.is_some())?;
        absent("unset", self.unset.is_some())?;
        Ok(self.hash_of(Content::Delete))
    }

    fn hash_of(&self, content: Content<'_>) -> u64 {
        op_hash(&self.table, &self.rid, self.base, content)
    }
}

fn absent(part: &'static str, present: bool) -> Result<(), OpError> {
    if present {
        Err(OpError::Part(part))
    } else {
        Ok(())
    }
}

fn check_name(which: &'static str, name: &str) -> Result<(), OpError> {
    let allowed = 1..=NAME_BYTES_MAX;
    if allowed.contains(&name.len()) {
        Ok(())
    } else {
        Err(OpError::Name(which))
    }
}

/// `<incarnation>.<n>`: n is a decimal number without leading zeros.
fn check_id(op: &str) -> Result<(), OpError> {
    let (incarnation, n) = op.rsplit_once('.').ok_or(OpError::Id)?;
    let canonical = n.parse::<u64>().is_ok_and(|number| number.to_string() == n);
    if op.len() <= OP_ID_BYTES_MAX && !incarnation.is_empty() && canonical {
        Ok(())
    } else {
        Err(OpError::Id)
    }
}

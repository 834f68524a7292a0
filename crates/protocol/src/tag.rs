//! The tagged forms: which there are and what stands in them (see the `value` module).

use crate::base64url;
use crate::canonical::ARRAY;
use crate::key::DATE_MS_MAX;
use crate::scan::{Forms, Scanner, Written};
use crate::value::ValueError;

/// The first element of a tagged form.
#[derive(Debug, Clone, Copy)]
enum Tag {
    Undefined,
    Number,
    BigInt,
    Date,
    Map,
    Set,
    Buffer,
    View,
    String,
    Sparse,
    Object,
    Array,
    RegExp,
    Error,
    Exception,
    Box,
    Geometry,
    Image,
    Blob,
    File,
    Graph,
    Reference,
}

impl Tag {
    fn from_text(text: &str) -> Option<Self> {
        let tag = match text {
            "~undef" => Self::Undefined,
            "~num" => Self::Number,
            "~bigint" => Self::BigInt,
            "~date" => Self::Date,
            "~map" => Self::Map,
            "~set" => Self::Set,
            "~buf" => Self::Buffer,
            "~view" => Self::View,
            "~str" => Self::String,
            "~sparse" => Self::Sparse,
            "~obj" => Self::Object,
            "~array" => Self::Array,
            "~regexp" => Self::RegExp,
            "~error" => Self::Error,
            "~exception" => Self::Exception,
            "~box" => Self::Box,
            "~geometry" => Self::Geometry,
            "~image" => Self::Image,
            "~blob" => Self::Blob,
            "~file" => Self::File,
            "~graph" => Self::Graph,
            "~ref" => Self::Reference,
            _ => return None,
        };
        Some(tag)
    }
}

/// The bytes of one element of a view; none for what is no view.
fn element_size(view: &str) -> Option<usize> {
    let size = match view {
        "Int8Array" | "Uint8Array" | "Uint8ClampedArray" | "DataView" => 1,
        "Int16Array" | "Uint16Array" | "Float16Array" => 2,
        "Int32Array" | "Uint32Array" | "Float32Array" => 4,
        "Float64Array" | "BigInt64Array" | "BigUint64Array" => 8,
        _ => return None,
    };
    Some(size)
}

fn is_bigint(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = !digits.starts_with('0') || text == "0";
    !digits.is_empty() && canonical && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether units hold a surrogate without its other half.
fn has_lone_surrogate(units: &[u16]) -> bool {
    char::decode_utf16(units.iter().copied()).any(|character| character.is_err())
}

/// All tagged forms.
pub(crate) const FORMS: Option<Forms> = Some(tagged);

/// Reads what follows the tag that was read at `at`.
fn tagged(
    scanner: &mut Scanner<'_>,
    tag: &Written,
    at: usize,
    depth: usize,
) -> Result<usize, ValueError> {
    let tag = Tag::from_text(scanner.text_of(tag)).ok_or(ValueError::Tag { at })?;
    scanner.tagged(tag, depth)
}

/// Each reads what follows the tag, up to the closing bracket, and says how many elements the form
/// has, the tag counted. `depth` is how deep the elements are.
impl Scanner<'_> {
    fn tagged(&mut self, tag: Tag, depth: usize) -> Result<usize, ValueError> {
        match tag {
            Tag::Undefined => self.last(1),
            Tag::Number => {
                self.text_where(|text| matches!(text, "NaN" | "Infinity" | "-Infinity" | "-0"))?;
                self.last(2)
            }
            Tag::BigInt => {
                self.text_where(is_bigint)?;
                self.last(2)
            }
            Tag::Date => self.tagged_date(depth),
            Tag::Map => self.rest(1, |scanner| scanner.map_entry(depth)),
            Tag::Set => self.rest(1, |scanner| scanner.value(depth)),
            Tag::Buffer => {
                self.bytes(|_| true)?;
                self.last(2)
            }
            Tag::View => self.tagged_view(),
            Tag::String => self.tagged_string().map(|units| units.len() + 1),
            Tag::Sparse => self.tagged_sparse(depth),
            Tag::Object => self.tagged_object(depth),
            Tag::Array => self.tagged_array(depth),
            Tag::RegExp => self.tagged_regexp(depth),
            Tag::Error => self.tagged_error(depth),
            Tag::Exception => self.tagged_exception(depth),
            Tag::Box => self.tagged_box(depth),
            Tag::Geometry => self.tagged_geometry(),
            Tag::Image => self.tagged_image(),
            Tag::Blob => {
                self.blob()?;
                self.last(4)
            }
            Tag::File => self.tagged_file(),
            Tag::Graph => self.tagged_graph(depth),
            Tag::Reference => self.tagged_reference(),
        }
    }

    pub(crate) fn bad_tag(&self) -> ValueError {
        ValueError::Tag { at: self.at() }
    }

    /// Reads the comma before an element that must be there.
    pub(crate) fn next(&mut self) -> Result<(), ValueError> {
        if self.more(b']')? {
            Ok(())
        } else {
            Err(self.bad_tag())
        }
    }

    /// Reads the closing bracket that must be there.
    pub(crate) fn last(&mut self, count: usize) -> Result<usize, ValueError> {
        if self.more(b']')? {
            Err(self.bad_tag())
        } else {
            Ok(count)
        }
    }

    /// Reads all elements that are left, after `count`.
    pub(crate) fn rest(
        &mut self,
        mut count: usize,
        mut element: impl FnMut(&mut Self) -> Result<(), ValueError>,
    ) -> Result<usize, ValueError> {
        while self.more(b']')? {
            element(self)?;
            count += 1;
        }
        Ok(count)
    }

    pub(crate) fn next_text(&mut self) -> Result<Written, ValueError> {
        self.next()?;
        if self.peek() == Some(b'"') {
            self.string()
        } else {
            Err(self.bad_tag())
        }
    }

    pub(crate) fn text_where(&mut self, valid: impl Fn(&str) -> bool) -> Result<(), ValueError> {
        let text = self.next_text()?;
        if valid(self.text_of(&text)) {
            Ok(())
        } else {
            Err(self.bad_tag())
        }
    }

    /// Reads bytes whose number is as `valid` says.
    pub(crate) fn bytes(&mut self, valid: impl Fn(usize) -> bool) -> Result<(), ValueError> {
        self.text_where(|text| base64url::decoded_len(text.as_bytes()).is_some_and(&valid))
    }

    /// Reads an integer from 0 to `max`.
    pub(crate) fn integer(&mut self, max: u32) -> Result<u32, ValueError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.bad_tag());
        }
        let number = self.number()?;
        if number.fract() == 0.0 && number <= f64::from(max) {
            Ok(number as u32)
        } else {
            Err(self.bad_tag())
        }
    }

    fn tagged_date(&mut self, depth: usize) -> Result<usize, ValueError> {
        self.next()?;
        if self.peek() == Some(b'n') {
            self.value(depth)?;
            return self.last(2);
        }
        self.date_ms()?;
        self.last(2)
    }

    /// Reads the milliseconds of a date.
    pub(crate) fn date_ms(&mut self) -> Result<(), ValueError> {
        let ms = self.number()?;
        if ms.fract() != 0.0 || ms.abs() > DATE_MS_MAX as f64 {
            return Err(self.bad_tag());
        }
        Ok(())
    }

    fn tagged_view(&mut self) -> Result<usize, ValueError> {
        let view = self.next_text()?;
        let size = element_size(self.text_of(&view)).ok_or_else(|| self.bad_tag())?;
        self.bytes(|len| len % size == 0)?;
        self.last(3)
    }

    fn tagged_string(&mut self) -> Result<Vec<u16>, ValueError> {
        let mut units = Vec::new();
        self.rest(0, |scanner| {
            let unit = scanner.integer(u32::from(u16::MAX))?;
            units.push(u16::try_from(unit).map_err(|_| scanner.bad_tag())?);
            Ok(())
        })?;
        if has_lone_surrogate(&units) {
            Ok(units)
        } else {
            Err(self.bad_tag())
        }
    }

    fn tagged_array(&mut self, depth: usize) -> Result<usize, ValueError> {
        self.text_where(|text| text.starts_with('~'))?;
        self.rest(2, |scanner| scanner.value(depth))
    }

    /// Reads `[first, value]`, where `first` reads the first element.
    fn entry<T>(
        &mut self,
        depth: usize,
        first: impl FnOnce(&mut Self) -> Result<T, ValueError>,
    ) -> Result<T, ValueError> {
        if self.peek() != Some(b'[') {
            return Err(self.bad_tag());
        }
        let head = self.head(ARRAY, depth)?;
        if self.open(b'[', b']')? {
            return Err(self.bad_tag());
        }
        let first = first(self)?;
        self.next()?;
        self.value(depth + 1)?;
        let count = self.last(2)?;
        self.set_length(head, count);
        Ok(first)
    }

    fn map_entry(&mut self, depth: usize) -> Result<(), ValueError> {
        self.entry(depth, |scanner| scanner.value(depth + 1))
    }

    /// Reads a name: a string, or a `~str` form.
    pub(crate) fn name_units(&mut self, depth: usize) -> Result<Vec<u16>, ValueError> {
        if self.peek() == Some(b'"') {
            let text = self.string()?;
            return Ok(self.text_of(&text).encode_utf16().collect());
        }
        if self.peek() != Some(b'[') {
            return Err(self.bad_tag());
        }
        let head = self.head(ARRAY, depth)?;
        if self.open(b'[', b']')? || self.peek() != Some(b'"') {
            return Err(self.bad_tag());
        }
        let tag = self.string()?;
        if self.text_of(&tag) != "~str" {
            return Err(self.bad_tag());
        }
        let units = self.tagged_string()?;
        self.set_length(head, units.len() + 1);
        Ok(units)
    }

    fn tagged_object(&mut self, depth: usize) -> Result<usize, ValueError> {
        let mut last: Option<Vec<u16>> = None;
        let mut needed = false;
        let count = self.rest(1, |scanner| {
            let name = scanner.entry(depth, |scanner| scanner.name_units(depth + 1))?;
            needed |= has_lone_surrogate(&name);
            if last.as_ref().is_some_and(|last| *last >= name) {
                return Err(scanner.bad_tag());
            }
            last = Some(name);
            Ok(())
        })?;
        if needed {
            Ok(count)
        } else {
            Err(self.bad_tag())
        }
    }

    fn tagged_sparse(&mut self, depth: usize) -> Result<usize, ValueError> {
        self.next()?;
        let length = self.integer(u32::MAX)?;
        let mut last = None;
        let mut indexes = 0;
        let count = self.rest(2, |scanner| {
            let place = scanner.entry(depth, |scanner| scanner.place(length, depth + 1))?;
            indexes += u32::from(matches!(place, Place::Index(_)));
            if last.as_ref().is_some_and(|last| *last >= place) {
                return Err(scanner.bad_tag());
            }
            last = Some(place);
            Ok(())
        })?;
        let named = matches!(last, Some(Place::Name(_)));
        if named || indexes < length {
            Ok(count)
        } else {
            Err(self.bad_tag())
        }
    }

    /// Reads an index below `length`, or the name of a property.
    fn place(&mut self, length: u32, depth: usize) -> Result<Place, ValueError> {
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            let last = length.checked_sub(1).ok_or_else(|| self.bad_tag())?;
            return self.integer(last).map(Place::Index);
        }
        let name = self.name_units(depth)?;
        if is_array_own(&name) {
            Err(self.bad_tag())
        } else {
            Ok(Place::Name(name))
        }
    }
}

/// Where in an array a value stands. Indexes come before names.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Index(u32),
    Name(Vec<u16>),
}

/// Whether a name is `length` or an array index (ECMAScript: the canonical text of an integer below
/// 2³² − 1), and so never a named property of an array.
fn is_array_own(name: &[u16]) -> bool {
    let text = String::from_utf16_lossy(name);
    text == "length"
        || text
            .parse::<u32>()
            .is_ok_and(|index| index != u32::MAX && index.to_string() == text)
}

//! One pass over the wire form of a value: checks it and writes its canonical bytes.

use std::borrow::Cow;

use crate::canonical::{ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE};
use crate::number;
use crate::sort;
use crate::value::ValueError;
use crate::wire::{PUSH_BYTES_MAX, VALUE_DEPTH_MAX};

/// Reads a text from its start to its end.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    out: Vec<u8>,
    members: Vec<Member>,
    /// What checks the tagged forms; where nothing does, they are arrays like others.
    forms: Option<Forms>,
    /// Within the form of a value with cycles: one more than the highest object that was referred to.
    pub(crate) references: Option<u32>,
}

/// Reads what follows the tag of a form, which begins at a place in the text, up to the closing
/// bracket, and gives how many elements the form has, the tag counted. How deep the elements are
/// comes last.
pub(crate) type Forms = fn(&mut Scanner<'_>, &Written, usize, usize) -> Result<usize, ValueError>;

/// Where in `out` a member of an object stands: its name (after its length) and its end.
#[derive(Debug, Clone, Copy)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

/// A string that was written to `out`: where its text stands there.
pub(crate) struct Written {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> Scanner<'a> {
    /// Begins to read. `out` is cleared and used for the canonical bytes.
    pub(crate) fn new(
        json: &'a [u8],
        out: Vec<u8>,
        forms: Option<Forms>,
    ) -> Result<Self, ValueError> {
        if json.len() > PUSH_BYTES_MAX {
            return Err(ValueError::TooLong);
        }
        let text = std::str::from_utf8(json).map_err(|error| ValueError::NotJson {
            at: error.valid_up_to(),
        })?;
        Ok(Self {
            forms,
            ..Self::of_text(text, out)
        })
    }

    /// The same for a text of any length.
    pub(crate) fn of_text(text: &'a str, mut out: Vec<u8>) -> Self {
        out.clear();
        Self {
            text,
            at: 0,
            out,
            members: Vec::new(),
            forms: None,
            references: None,
        }
    }

    /// Reads one value that is the whole text and returns its canonical bytes.
    pub(crate) fn whole(mut self) -> Result<Vec<u8>, ValueError> {
        self.value(0)?;
        self.finish()
    }

    /// Checks that nothing but whitespace is left, and returns the canonical bytes.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, ValueError> {
        match self.peek() {
            None => Ok(self.out),
            Some(_) => Err(self.not_json()),
        }
    }

    /// Reads the next value, which stands within `depth` arrays and objects.
    pub(crate) fn value(&mut self, depth: usize) -> Result<(), ValueError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'n') => self.word("null", NULL),
            Some(b'f') => self.word("false", FALSE),
            Some(b't') => self.word("true", TRUE),
            _ => Err(self.not_json()),
        }
    }

    /// The next byte after whitespace.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Reads one byte of punctuation.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), ValueError> {
        if self.peek() != Some(byte) {
            return Err(self.not_json());
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a comma and says true, or reads `close` and says false.
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, ValueError> {
        let next = self.peek();
        self.at += 1;
        match next {
            Some(b',') => Ok(true),
            Some(byte) if byte == close => Ok(false),
            _ => {
                self.at -= 1;
                Err(self.not_json())
            }
        }
    }

    /// Reads the opening of an array or object and says whether it is empty, and read whole.
    pub(crate) fn open(&mut self, open: u8, close: u8) -> Result<bool, ValueError> {
        self.expect(open)?;
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        Ok(empty)
    }

    /// Begins an array or object in the output. To be given to [`Self::set_length`].
    pub(crate) fn head(&mut self, kind: u8, depth: usize) -> Result<usize, ValueError> {
        if depth >= VALUE_DEPTH_MAX {
            return Err(ValueError::TooDeep);
        }
        self.out.push(kind);
        Ok(self.reserve_length())
    }

    fn reserve_length(&mut self) -> usize {
        self.out.extend_from_slice(&[0; 4]);
        self.out.len()
    }

    /// Writes a length or count into the four bytes before `end`.
    pub(crate) fn set_length(&mut self, end: usize, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Some(place) = self.out.get_mut(end - 4..end) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// The canonical bytes that were written from `start` on.
    pub(crate) fn written(&self, start: usize) -> &[u8] {
        self.out.get(start..).unwrap_or_default()
    }

    /// How many canonical bytes there are.
    pub(crate) fn written_len(&self) -> usize {
        self.out.len()
    }

    /// The text of a string that was written.
    pub(crate) fn text_of(&self, string: &Written) -> &str {
        let bytes = self.out.get(string.start..string.end).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Forgets all canonical bytes.
    pub(crate) fn forget(&mut self) {
        self.out.clear();
    }

    /// Where the next byte is read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text that was read from `start` on.
    pub(crate) fn read_since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(crate) fn not_json(&self) -> ValueError {
        ValueError::NotJson { at: self.at }
    }

    fn word(&mut self, word: &str, kind: u8) -> Result<(), ValueError> {
        self.pass(word)?;
        self.out.push(kind);
        Ok(())
    }

    /// Reads a word that must be there.
    pub(crate) fn pass(&mut self, word: &str) -> Result<(), ValueError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.not_json());
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes over the next value, which need not be the wire form of one: nothing is checked but
    /// that strings and brackets end.
    pub(crate) fn skip_value(&mut self) -> Result<(), ValueError> {
        let mut open = 0_u32;
        loop {
            let next = self.peek().ok_or_else(|| self.not_json())?;
            self.at += 1;
            match next {
                b'"' => self.skip_string()?,
                b'{' | b'[' => open = open.saturating_add(1),
                b'}' | b']' => open = open.checked_sub(1).ok_or_else(|| self.not_json())?,
                b',' | b':' if open > 0 => {}
                b',' | b':' => return Err(self.not_json()),
                _ => self.skip_word(),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), ValueError> {
        loop {
            self.plain_run();
            if self.skip(b"\"") {
                return Ok(());
            }
            if !self.skip(b"\\") || self.at >= self.text.len() {
                return Err(self.not_json());
            }
            self.at += 1;
        }
    }

    fn skip_word(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']') || *byte <= b' ';
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }
}

/// Numbers.
impl Scanner<'_> {
    /// Reads and writes a number.
    pub(crate) fn number(&mut self) -> Result<f64, ValueError> {
        self.peek();
        let start = self.at;
        let negative = self.skip(b"-");
        let first = self.at;
        self.digits()?;
        if self.at - first > 1 && self.text.as_bytes().get(first) == Some(&b'0') {
            return Err(ValueError::NotJson { at: first });
        }
        self.fraction()?;
        let magnitude = number::read(self.read_since(first)).ok_or_else(|| self.not_json())?;
        if !magnitude.is_finite() || (negative && magnitude == 0.0) {
            return Err(ValueError::Number { at: start });
        }
        let number = if negative { -magnitude } else { magnitude };
        self.out.push(NUMBER);
        self.out.extend_from_slice(&number.to_bits().to_le_bytes());
        Ok(number)
    }

    /// Reads one of `bytes`, if it comes next.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let found = self
            .text
            .as_bytes()
            .get(self.at)
            .is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(found);
        found
    }

    /// Reads at least one digit.
    fn digits(&mut self) -> Result<(), ValueError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let other = |byte: &u8| !byte.is_ascii_digit();
        let count = rest.iter().position(other).unwrap_or(rest.len());
        self.at += count;
        if count == 0 {
            Err(self.not_json())
        } else {
            Ok(())
        }
    }

    /// Reads what may follow the integer part.
    fn fraction(&mut self) -> Result<(), ValueError> {
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Ok(())
    }
}

/// Strings.
impl<'a> Scanner<'a> {
    /// Reads and writes a string.
    pub(crate) fn string(&mut self) -> Result<Written, ValueError> {
        self.out.push(STRING);
        self.counted_text()
    }

    /// Reads a string and writes its length and text.
    fn counted_text(&mut self) -> Result<Written, ValueError> {
        self.expect(b'"')?;
        let start = self.reserve_length();
        self.text_rest()?;
        let end = self.out.len();
        self.set_length(start, end - start);
        Ok(Written { start, end })
    }

    /// Reads a string without writing it.
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, ValueError> {
        self.expect(b'"')?;
        let start = self.at;
        self.plain_run();
        let plain = self.read_since(start);
        if self.skip(b"\"") {
            return Ok(Cow::Borrowed(plain));
        }
        self.at = start;
        let written = self.out.len();
        self.text_rest()?;
        let text = self.out.split_off(written);
        String::from_utf8(text)
            .map(Cow::Owned)
            .map_err(|_| self.not_json())
    }

    /// Reads the name of an object's member, and its colon.
    pub(crate) fn member_name(&mut self) -> Result<Cow<'a, str>, ValueError> {
        self.peek();
        let name = self.name()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Reads a string after its opening quote, and writes its text.
    fn text_rest(&mut self) -> Result<(), ValueError> {
        loop {
            let start = self.at;
            self.plain_run();
            self.out
                .extend_from_slice(self.read_since(start).as_bytes());
            if self.skip(b"\"") {
                return Ok(());
            }
            if !self.skip(b"\\") {
                return Err(self.not_json());
            }
            let character = self.escape()?;
            let mut utf8 = [0; 4];
            self.out
                .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        }
    }

    /// Passes everything up to a quote, a backslash or a control character.
    fn plain_run(&mut self) {
        let mut rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        while let Some((eight, after)) = rest.split_first_chunk() {
            let special = special_bytes(u64::from_le_bytes(*eight));
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
            rest = after;
        }
        let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        self.at += rest.iter().position(special).unwrap_or(rest.len());
    }

    /// Reads an escape after its backslash.
    fn escape(&mut self) -> Result<char, ValueError> {
        let kind = self.text.as_bytes().get(self.at).copied();
        self.at += 1;
        let character = match kind {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.escaped_unit(),
            _ => return Err(ValueError::NotJson { at: self.at - 1 }),
        };
        Ok(character)
    }

    /// Reads the digits of `\uXXXX`, and the low surrogate that a high one needs.
    fn escaped_unit(&mut self) -> Result<char, ValueError> {
        let lone = ValueError::LoneSurrogate { at: self.at };
        let first = self.hex_unit()?;
        let low = match first {
            0xd800..0xdc00 if self.skip(b"\\") && self.skip(b"u") => Some(self.hex_unit()?),
            _ => None,
        };
        let units = [first, low.unwrap_or_default()];
        let used = if low.is_some() { 2 } else { 1 };
        let mut characters = char::decode_utf16(units.into_iter().take(used));
        match (characters.next(), characters.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(lone),
        }
    }

    fn hex_unit(&mut self) -> Result<u16, ValueError> {
        let digits = self
            .text
            .as_bytes()
            .get(self.at..self.at + 4)
            .unwrap_or_default();
        let unit = digits.iter().try_fold(0_u16, |unit, digit| {
            let value = char::from(*digit).to_digit(16)?;
            Some(unit << 4 | u16::try_from(value).ok()?)
        });
        match unit {
            Some(unit) if digits.len() == 4 => {
                self.at += 4;
                Ok(unit)
            }
            _ => Err(self.not_json()),
        }
    }
}

/// Arrays and objects.
impl Scanner<'_> {
    fn array(&mut self, depth: usize) -> Result<(), ValueError> {
        let head = self.head(ARRAY, depth)?;
        if self.open(b'[', b']')? {
            return Ok(());
        }
        let (forms, at) = (self.forms, self.at);
        match forms {
            Some(forms) if self.peek() == Some(b'"') => {
                let first = self.string()?;
                if self.text_of(&first).starts_with('~') {
                    let count = forms(self, &first, at, depth + 1)?;
                    self.set_length(head, count);
                    return Ok(());
                }
            }
            _ => self.value(depth + 1)?,
        }
        let mut count = 1;
        while self.more(b']')? {
            self.value(depth + 1)?;
            count += 1;
        }
        self.set_length(head, count);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), ValueError> {
        let head = self.head(OBJECT, depth)?;
        if self.open(b'{', b'}')? {
            return Ok(());
        }
        let first = self.members.len();
        loop {
            let start = self.out.len();
            self.counted_text()?;
            let name_end = self.out.len();
            self.expect(b':')?;
            self.value(depth + 1)?;
            self.members.push(Member {
                start,
                name_end,
                end: self.out.len(),
            });
            if !self.more(b'}')? {
                break;
            }
        }
        let members = self.members.split_off(first);
        self.set_length(head, members.len());
        self.sort(&members)
    }

    /// Brings the members that were written last into the order of their names.
    fn sort(&mut self, members: &[Member]) -> Result<(), ValueError> {
        let out = &self.out;
        let name = |member: &Member| {
            out.get(member.start + 4..member.name_end)
                .unwrap_or_default()
        };
        if members.is_sorted_by(|one, next| name(one) < name(next)) {
            return Ok(());
        }
        let start = members.first().map_or(out.len(), |member| member.start);
        let name_at = |place: usize| members.get(place).map(name);
        let order = sort::order(members.len(), &|one, other| {
            name_at(one).cmp(&name_at(other))
        });
        if !order.is_sorted_by(|one, next| name_at(*one) < name_at(*next)) {
            return Err(ValueError::DuplicateName);
        }
        let unsorted = self.out.split_off(start);
        for member in order.into_iter().filter_map(|place| members.get(place)) {
            let bytes = unsorted.get(member.start - start..member.end - start);
            self.out.extend_from_slice(bytes.unwrap_or_default());
        }
        Ok(())
    }
}

/// Marks the high bit of the lowest of eight bytes that is a quote, a backslash or a control
/// character; bytes above it may be marked too. Zero where there is none.
fn special_bytes(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
    let equal = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    (below(eight, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7)
}

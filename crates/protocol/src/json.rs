//! JSON that is no value of an app: answers, the configuration, the status. Written without a
//! library, since a page downloads this code.

use std::borrow::Cow;
use std::cell::Cell;

use crate::scan::Scanner;
use crate::value::ValueError;

/// A value as it stands in the text, and what it is made of: names are empty in an array.
struct Part<'a> {
    text: &'a str,
    parts: Vec<(Cow<'a, str>, Self)>,
}

/// What is not there is read as this.
static NULL: Part<'static> = Part {
    text: "null",
    parts: Vec::new(),
};

impl<'a> Part<'a> {
    fn of(text: &'a str, depth: usize) -> Result<Self, ValueError> {
        let mut scanner = Scanner::of_text(text, Vec::new());
        let part = Self::next(&mut scanner, depth)?;
        scanner.finish()?;
        Ok(part)
    }

    fn next(scanner: &mut Scanner<'a>, depth: usize) -> Result<Self, ValueError> {
        let (first, mut parts) = (scanner.peek(), Vec::new());
        let start = scanner.at();
        match first {
            Some(open @ (b'{' | b'[')) if depth > 0 => {
                // Both closing brackets stand two places behind their opening ones.
                let close = open + 2;
                let mut more = !scanner.open(open, close)?;
                while more {
                    let name = if open == b'{' {
                        scanner.member_name()?
                    } else {
                        Cow::default()
                    };
                    parts.push((name, Self::next(scanner, depth - 1)?));
                    more = scanner.more(close)?;
                }
            }
            _ => scanner.skip_value()?,
        }
        let text = scanner.read_since(start);
        Ok(Self { text, parts })
    }
}

/// Reads a text, whose arrays and objects are taken apart `depth` deep: what is deeper is there for
/// [`Json::raw`]. None where it is no JSON, or `what` met something that it did not ask for.
///
/// Of what nobody asks for nothing is checked but that strings and brackets end.
pub fn read<T>(text: &str, depth: usize, what: impl FnOnce(Json<'_>) -> T) -> Option<T> {
    let part = Part::of(text, depth).ok()?;
    let wrong = Cell::new(false);
    let found = what(Json {
        part: &part,
        wrong: &wrong,
    });
    (!wrong.get()).then_some(found)
}

/// A value that is being read. Where it is not what it is asked for, something else is given to go on
/// with, and [`read`] gives nothing in the end.
#[derive(Clone, Copy)]
pub struct Json<'a> {
    part: &'a Part<'a>,
    wrong: &'a Cell<bool>,
}

impl<'a> Json<'a> {
    /// The member of an object; none where it has no such.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Self> {
        let mut parts = self.part.parts.iter().rev();
        let (_, part) = parts.find(|(known, _)| known == name)?;
        Some(Self { part, ..self })
    }

    /// The member of an object; `null` where it has no such.
    #[must_use]
    pub fn get(self, name: &str) -> Self {
        let null = Self {
            part: &NULL,
            ..self
        };
        self.member(name).unwrap_or(null)
    }

    /// The members of an object.
    pub fn members(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.parts("{")
    }

    /// The elements of an array.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        self.parts("[").map(|(_, element)| element)
    }

    fn parts(self, bracket: &str) -> impl Iterator<Item = (&'a str, Self)> {
        if !self.part.text.starts_with(bracket) {
            self.wrong.set(true);
        }
        let parts = self.part.parts.iter();
        parts.map(move |(name, part)| (name.as_ref(), Self { part, ..self }))
    }

    /// A string.
    #[must_use]
    pub fn text(self) -> String {
        self.scanned(Scanner::name).into_owned()
    }

    /// An integer from 0 to 2⁵³.
    #[must_use]
    pub fn whole(self) -> u64 {
        const MAX: f64 = (1_u64 << 53) as f64;
        let number = self.scanned(Scanner::number);
        let whole = number as u64;
        if number > MAX || whole as f64 != number {
            return self.refuse(0);
        }
        whole
    }

    /// An integer of 32 bits.
    #[must_use]
    pub fn small(self) -> u32 {
        u32::try_from(self.whole()).unwrap_or_else(|_| self.refuse(0))
    }

    /// `true` or `false`.
    #[must_use]
    pub fn flag(self) -> bool {
        match self.part.text {
            "true" => true,
            "false" => false,
            _ => self.refuse(false),
        }
    }

    /// Of texts that each stand for something, what this one stands for.
    #[must_use]
    pub fn one_of<T: Copy>(self, known: &[(&str, T)]) -> T {
        let text = self.text();
        let found = known.iter().find(|(name, _)| *name == text);
        found.map_or_else(|| self.refuse(known[0].1), |(_, it)| *it)
    }

    /// None for `null`, else what `read` makes of it.
    #[must_use]
    pub fn optional<T>(self, read: fn(Self) -> T) -> Option<T> {
        (self.part.text != "null").then(|| read(self))
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.part.text.starts_with('{')
    }

    /// The value as it stands.
    #[must_use]
    pub fn raw(self) -> String {
        self.part.text.to_owned()
    }

    /// Says that this is not what was asked for, and gives `instead` to go on with.
    pub fn refuse<T>(self, instead: T) -> T {
        self.wrong.set(true);
        instead
    }

    /// Whether something was refused so far.
    #[must_use]
    pub fn is_refused(self) -> bool {
        self.wrong.get()
    }

    fn scanned<T: Default>(self, read: fn(&mut Scanner<'a>) -> Result<T, ValueError>) -> T {
        let mut scanner = Scanner::of_text(self.part.text, Vec::new());
        let found = read(&mut scanner);
        let found = found.and_then(|found| scanner.finish().map(|_| found));
        found.unwrap_or_else(|_| self.refuse(T::default()))
    }
}

/// Writes an object, member by member.
#[derive(Debug)]
pub struct ObjectWriter {
    text: String,
}

impl Default for ObjectWriter {
    fn default() -> Self {
        Self {
            text: "{".to_owned(),
        }
    }
}

impl ObjectWriter {
    /// Writes a member whose value is JSON already.
    pub fn json(&mut self, name: &str, json: &str) -> &mut Self {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        push_text(&mut self.text, name);
        self.text.push(':');
        self.text.push_str(json);
        self
    }

    /// Writes a string.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        let mut json = String::new();
        push_text(&mut json, text);
        self.json(name, &json)
    }

    /// Writes a string, or `null` for none.
    pub fn optional(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self.json(name, "null"),
        }
    }

    /// Writes an integer.
    pub fn whole(&mut self, name: &str, number: u64) -> &mut Self {
        self.json(name, &number.to_string())
    }

    /// Writes a truth value.
    pub fn flag(&mut self, name: &str, flag: bool) -> &mut Self {
        self.json(name, if flag { "true" } else { "false" })
    }

    /// The object.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let mut text = std::mem::take(&mut self.text);
        text.push('}');
        text
    }
}

/// Appends a string of JSON.
pub fn push_text(to: &mut String, text: &str) {
    to.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                to.push('\\');
                to.push(character);
            }
            '\u{8}' => to.push_str("\\b"),
            '\u{c}' => to.push_str("\\f"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            '\0'..' ' => {
                to.push_str("\\u00");
                to.push(if character < '\u{10}' { '0' } else { '1' });
                to.extend(char::from_digit(u32::from(character) & 15, 16));
            }
            _ => to.push(character),
        }
    }
    to.push('"');
}

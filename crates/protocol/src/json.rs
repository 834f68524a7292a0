//! JSON that is no value of an app: answers, the configuration, the status. Written without a
//! library, since a page downloads this code.

use crate::scan::Scanner;
use crate::value::ValueError;

/// Where a text is not what was asked for.
pub type Found<T> = Result<T, ValueError>;

/// Reads a text from its start to its end, in the order in which things stand there. What nobody
/// asks for is passed over by [`JsonReader::skip`], whatever it is.
pub struct JsonReader<'a> {
    scanner: Scanner<'a>,
}

impl<'a> JsonReader<'a> {
    /// Begins to read.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self {
            scanner: Scanner::of_text(text, Vec::new()),
        }
    }

    /// Reads an object. `member` is called with each name, and must read or skip its value.
    ///
    /// # Errors
    /// Where no object comes next, and what `member` says.
    pub fn object(&mut self, member: &mut dyn FnMut(&str, &mut Self) -> Found<()>) -> Found<()> {
        if self.scanner.open(b'{', b'}')? {
            return Ok(());
        }
        loop {
            self.scanner.peek();
            let name = self.scanner.name()?;
            self.scanner.expect(b':')?;
            member(&name, self)?;
            if !self.scanner.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads an array. `element` must read or skip each element.
    ///
    /// # Errors
    /// Where no array comes next, and what `element` says.
    pub fn array(&mut self, element: &mut dyn FnMut(&mut Self) -> Found<()>) -> Found<()> {
        if self.scanner.open(b'[', b']')? {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.scanner.more(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a string; none for `null`.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn text(&mut self) -> Found<Option<String>> {
        if self.null()? {
            return Ok(None);
        }
        let text = self.scanner.name()?;
        Ok(Some(text.into_owned()))
    }

    /// Reads an integer from 0 to 2⁵³; none for `null`.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn whole(&mut self) -> Found<Option<u64>> {
        const MAX: f64 = (1_u64 << 53) as f64;
        if self.null()? {
            return Ok(None);
        }
        let number = self.scanner.number()?;
        self.scanner.forget();
        let whole = number as u64;
        if number > MAX || whole as f64 != number {
            return Err(self.scanner.not_json());
        }
        Ok(Some(whole))
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn flag(&mut self) -> Found<bool> {
        let flag = self.scanner.peek() == Some(b't');
        let word = if flag { "true" } else { "false" };
        self.scanner.pass(word)?;
        Ok(flag)
    }

    /// Whether an object comes next.
    pub fn is_object(&mut self) -> bool {
        self.scanner.peek() == Some(b'{')
    }

    /// Passes over the next value and gives it as it stands.
    ///
    /// # Errors
    /// Where the text ends within it.
    pub fn raw(&mut self) -> Found<&'a str> {
        self.scanner.peek();
        let start = self.scanner.at();
        self.scanner.skip_value()?;
        Ok(self.scanner.read_since(start))
    }

    fn null(&mut self) -> Found<bool> {
        let null = self.scanner.peek() == Some(b'n');
        if null {
            self.scanner.pass("null")?;
        }
        Ok(null)
    }

    /// Passes over the next value: nothing of it is checked but that strings and brackets end.
    ///
    /// # Errors
    /// Where the text ends within it.
    pub fn skip(&mut self) -> Found<()> {
        self.scanner.skip_value()
    }

    /// That nothing is wrong with what was read and nothing is left.
    ///
    /// # Errors
    /// Where something is left.
    pub fn end(self) -> Found<()> {
        self.scanner.finish().map(drop)
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

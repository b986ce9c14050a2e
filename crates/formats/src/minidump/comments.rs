//! What the tool that took a dump, or the program itself, says in it: the comment streams that ProcDump writes
//! (`minidumpapiset.h`), assertions of Breakpad, and the annotations of Crashpad (`minidump_extensions.h`).

use super::file::File;
use crate::Comment;
use crate::bytes::{Take, c_text};
use minidump_common::format::MINIDUMP_STREAM_TYPE as Stream;

/// The most annotations, and the most bytes of all texts together: all places may be the same.
const MOST: usize = 500;
const MOST_TEXT: usize = 256 << 10;
/// `MinidumpAnnotation` with a text (`crashpad::Annotation::Type::kString`).
const STRING: u16 = 1;

/// All comments, those of the tool before those of the program.
pub(super) fn comments(minidump: &File<'_>) -> Vec<Comment> {
    let mut found = Found {
        file: minidump,
        comments: Vec::new(),
        left: MOST_TEXT,
    };
    let wide = wide(minidump.raw(Stream::CommentStreamW));
    found.add("comment", &wide);
    found.add("comment", &c_text(minidump.raw(Stream::CommentStreamA)));
    found.add(
        "assertion",
        &assertion(minidump.raw(Stream::AssertionInfoStream)),
    );
    found.crashpad();
    found.comments
}

/// UTF-16 up to the first NUL.
fn wide(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MOST_TEXT)];
    let units = bytes.as_chunks().0.iter();
    let units = units.map(|unit| u16::from_le_bytes(*unit));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

/// `MDRawAssertionInfo`: expression, function and file, with 128 units of UTF-16 each, and the line.
fn assertion(bytes: &[u8]) -> String {
    const TEXT: usize = 256;
    let mut fields = Take(bytes);
    let mut text = || Some(wide(fields.bytes(TEXT)?));
    let (expression, function, file) = (text(), text(), text());
    let line = fields.u32().unwrap_or(0);
    let (Some(expression), Some(function), Some(file)) = (expression, function, file) else {
        return String::new();
    };
    format!("{expression} in {function}, {file}:{line}")
}

struct Found<'a, 'f> {
    file: &'f File<'a>,
    comments: Vec<Comment>,
    /// How many bytes of text there may still be.
    left: usize,
}

impl<'a> Found<'a, '_> {
    /// Adds a text, unless it is empty, was said already, or is one too many.
    fn add(&mut self, key: &str, text: &str) {
        let text = text.trim();
        let comment = Comment {
            key: key.to_owned(),
            text: text.to_owned(),
        };
        let is_new = !text.is_empty() && !self.comments.contains(&comment);
        let length = key.len() + text.len();
        if is_new && self.comments.len() < MOST && length <= self.left {
            self.left -= length;
            self.comments.push(comment);
        }
    }

    /// `MDRawCrashpadInfo`: the version, the ids of report and client, the annotations of the process, and the modules with
    /// theirs.
    fn crashpad(&mut self) -> Option<()> {
        let mut fields = Take(self.file.raw(Stream::CrashpadInfoStream));
        let _version_and_ids = fields.bytes(4 + 16 + 16)?;
        let (annotations, modules) = (self.part(&mut fields)?, self.part(&mut fields)?);
        self.dictionary(annotations);
        let mut modules = Take(modules);
        let count = modules.u32()?;
        for _ in 0..count.min(MOST as u32) {
            let _index = modules.u32()?;
            let module = self.part(&mut modules)?;
            self.module(module);
        }
        Some(())
    }

    /// `MDRawModuleCrashpadInfo`: the version, a list of texts, a dictionary, and objects.
    fn module(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Take(bytes);
        let _version = fields.u32()?;
        let (list, dictionary) = (self.part(&mut fields)?, self.part(&mut fields)?);
        let objects = self.part(&mut fields);
        self.list(list);
        self.dictionary(dictionary);
        self.objects(objects?)
    }

    fn list(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Take(bytes);
        for _ in 0..fields.u32()?.min(MOST as u32) {
            let text = self.text(fields.u32()?)?;
            self.add("annotation", &text);
        }
        Some(())
    }

    fn dictionary(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Take(bytes);
        for _ in 0..fields.u32()?.min(MOST as u32) {
            let (key, value) = (self.text(fields.u32()?)?, self.text(fields.u32()?)?);
            self.add(&key, &value);
        }
        Some(())
    }

    fn objects(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Take(bytes);
        for _ in 0..fields.u32()?.min(MOST as u32) {
            let key = self.text(fields.u32()?)?;
            let kind = fields.u16()?;
            let _reserved = fields.u16()?;
            let value = self.text(fields.u32()?)?;
            if kind == STRING {
                self.add(&key, &value);
            }
        }
        Some(())
    }

    /// The part of the file that a `MINIDUMP_LOCATION_DESCRIPTOR` describes; empty if the file does not have it.
    fn part(&self, fields: &mut Take<'_>) -> Option<&'a [u8]> {
        let (size, start) = (fields.u32()? as usize, fields.u32()? as usize);
        let end = start.checked_add(size)?;
        Some(self.file.bytes.get(start..end).unwrap_or_default())
    }

    /// `MDUtf8String`: its length, and the bytes.
    fn text(&self, rva: u32) -> Option<String> {
        let mut fields = Take(self.file.bytes.get(rva as usize..)?);
        let length = fields.u32()? as usize;
        let text = fields.bytes(length)?;
        // A text that is too long is not taken; it need not be read either.
        Some(c_text(&text[..length.min(self.left + 1)]))
    }
}

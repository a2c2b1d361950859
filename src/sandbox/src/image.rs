//! What a new process executes, laid out as the kernel takes it before there is a new process.

use nix::{errno::Errno, libc};
use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr, OsString, c_char},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// Where programs are looked for without a PATH.
const USUAL_PATH: &[u8] = b"/bin:/usr/bin";
/// Executes scripts that do not name their own interpreter.
const SHELL: &std::ffi::CStr = c"/bin/sh";

/// A program with its arguments and all of its environment.
pub(crate) struct Image {
    /// In the order of the PATH.
    attempts: Vec<Attempt>,
    arguments: Strings,
    environment: Strings,
}

struct Attempt {
    program: CString,
    /// The arguments of a shell that executes it.
    by_shell: Strings,
}

/// Strings and, for the kernel, where they lie, with nothing at the end.
struct Strings {
    _kept: Vec<CString>,
    places: Vec<*const c_char>,
}

impl Image {
    /// Of these words, the first of which is the program: without a slash it is looked for on the PATH of the environment.
    /// Of two variables of one name the later counts.
    pub(crate) fn new(
        words: &[OsString],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> io::Result<Self> {
        let Some((program, rest)) = words.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a command without words"));
        };
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        let path = environment.get(OsStr::new("PATH")).map_or(USUAL_PATH, |path| path.as_bytes());
        let attempts = candidates(program, path).into_iter().map(|candidate| Attempt::new(candidate, rest));
        Ok(Self {
            attempts: attempts.collect::<io::Result<_>>()?,
            arguments: Strings::new(words.iter().cloned())?,
            environment: Strings::new(environment.into_iter().map(|(name, value)| variable(name, &value)))?,
        })
    }

    /// Becomes it, or says why not. Allocates nothing.
    pub(crate) fn execute(&self) -> i32 {
        let (mut refusal, mut is_denied) = (libc::ENOENT, false);
        for attempt in &self.attempts {
            refusal = attempt.execute(&self.arguments, &self.environment);
            match refusal {
                libc::EACCES => is_denied = true,
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                other => return other,
            }
        }
        // As a shell says it: what is there but may not be executed is worth more words than what is not there.
        if is_denied { libc::EACCES } else { refusal }
    }
}

impl Attempt {
    fn new(program: OsString, rest: &[OsString]) -> io::Result<Self> {
        let shell = OsStr::from_bytes(SHELL.to_bytes()).to_owned();
        let by_shell = Strings::new([shell, program.clone()].into_iter().chain(rest.iter().cloned()))?;
        Ok(Self { program: CString::new(program.into_vec())?, by_shell })
    }

    fn execute(&self, arguments: &Strings, environment: &Strings) -> i32 {
        // SAFETY: all strings end in NUL and live, and their lists end in null.
        unsafe {
            libc::execve(self.program.as_ptr(), arguments.places.as_ptr(), environment.places.as_ptr());
            if Errno::last_raw() == libc::ENOEXEC {
                libc::execve(SHELL.as_ptr(), self.by_shell.places.as_ptr(), environment.places.as_ptr());
            }
        }
        Errno::last_raw()
    }
}

impl Strings {
    fn new(strings: impl Iterator<Item = OsString>) -> io::Result<Self> {
        let kept: Vec<CString> =
            strings.map(|string| CString::new(string.into_vec())).collect::<Result<_, _>>()?;
        let places = kept.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { _kept: kept, places })
    }
}

fn variable(mut name: OsString, value: &OsStr) -> OsString {
    name.push("=");
    name.push(value);
    name
}

/// An empty part of the PATH is the directory in which the program starts.
fn candidates(program: &OsStr, path: &[u8]) -> Vec<OsString> {
    let program = program.as_bytes();
    if program.is_empty() {
        return Vec::new();
    }
    if program.contains(&b'/') {
        return vec![OsString::from_vec(program.to_vec())];
    }
    let join = |directory: &[u8]| match directory {
        b"" => program.to_vec(),
        _ => [directory, b"/", program].concat(),
    };
    path.split(|byte| *byte == b':').map(|directory| OsString::from_vec(join(directory))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_a_slash_is_looked_for_along_the_path() {
        let along = |program: &str, path: &str| candidates(OsStr::new(program), path.as_bytes());
        assert_eq!(along("git", "/a:/b"), ["/a/git", "/b/git"]);
        assert_eq!(along("git", ":/b"), ["git", "/b/git"]);
        assert_eq!(along("./git", "/a:/b"), ["./git"]);
        assert!(along("", "/a").is_empty());
    }

    #[test]
    fn the_later_of_two_variables_counts_and_a_nul_is_refused() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let image = Image::new(&["x".into()], [pair("A", "1"), pair("B", "2"), pair("A", "3")]).unwrap();
        assert_eq!(image.environment._kept, [c"A=3".to_owned(), c"B=2".to_owned()]);
        assert_eq!(image.attempts.len(), 2);
        assert!(Image::new(&["x\0y".into()], []).is_err());
        assert!(Image::new(&[], []).is_err());
    }
}

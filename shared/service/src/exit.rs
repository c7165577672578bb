//! Exit codes and the error that carries one.

use std::{fmt, process::ExitCode};

use crate::{logs, stdio};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for is done.
    Done = 0,
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// A dependency could not be reached.
    Unreachable = 3,
    /// Finished, but rows or dead letters are left over.
    Leftover = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with the exit code it deserves.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// What happened, with its causes.
    pub error: anyhow::Error,
}

impl Failure {
    /// An error with its exit code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    /// Wrong usage, explained.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, anyhow::anyhow!("{message}"))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Failed, error)
    }
}

/// Gives a result's error an exit code.
pub trait OrExit<T> {
    /// Turns the error into a [`Failure`] with this exit code.
    ///
    /// # Errors
    /// The same error, wrapped.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}

/// Prints the error with its causes on standard error and returns the process's exit code.
///
/// A command that did its work but could not say so, on a full disk say, has failed.
pub fn finish(result: Result<Exit, Failure>) -> ExitCode {
    let incomplete = stdio::incomplete();
    let exit = match result {
        Ok(_) if incomplete.is_some() => Exit::Failed,
        Ok(exit) => exit,
        Err(failure) => {
            logs::last_words(&chain(&failure.error));
            failure.exit
        }
    };
    if let Some(reason) = incomplete {
        logs::last_words(&reason);
    }
    exit.into()
}

/// The command line, or the exit code of a process that has only shown its help or what is wrong with it.
///
/// # Errors
/// 0 after `--help` and `--version`, 2 after wrong usage.
pub fn arguments<A: clap::Parser>() -> Result<A, ExitCode> {
    A::try_parse().map_err(|error| {
        let printed = error.print();
        if error.use_stderr() {
            return Exit::Usage.into();
        }
        if let Err(error) = printed {
            stdio::failed(error);
        }
        finish(Ok(Exit::Done))
    })
}

/// The error and its causes on one line, a cause that only repeats what was said left out.
pub fn chain(error: &anyhow::Error) -> String {
    causes(&**error)
}

/// As [`chain`], of any error.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let cause = error.to_string();
        let cause = cause.trim();
        if !text.contains(cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(cause);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_are_chained_once() {
        let error = Err::<(), _>(anyhow::anyhow!("connection refused"))
            .context("redis: connection refused")
            .context("cannot claim")
            .unwrap_err();
        assert_eq!(chain(&error), "cannot claim: redis: connection refused");
    }
}

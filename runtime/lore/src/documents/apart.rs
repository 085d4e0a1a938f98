//! A process of its own for each document that is hard to read: one that panics, recurses without end, takes all memory or
//! does not come to an end takes nothing down but itself.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::timeout,
};

use super::{Document, Kind, LARGEST, LONGEST_TEXT, Unread, bounded, here, html, pdf, text};

/// The first argument that makes a program a reader of one document.
const WORD: &str = "__read-document";

/// How long a reader may take.
const CEILING: Duration = Duration::from_secs(30);

/// How much memory a reader may take, in bytes, and how long it may compute, in seconds, should nobody wait for it.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 512 * 1024 * 1024;
#[cfg(unix)]
const COMPUTING: u64 = 60;

/// The most bytes that a reader says: the longest text, in JSON.
const LONGEST_ANSWER: u64 = 6 * LONGEST_TEXT as u64 + 1024;

/// The most bytes of why it could not.
const LONGEST_REASON: u64 = 300;

/// Reads documents. Its program must [`answer`] first of all.
#[derive(Clone, Debug)]
pub struct Reader {
    program: PathBuf,
}

impl Reader {
    /// One by this very program.
    ///
    /// # Errors
    /// When the system does not say where the program is.
    pub fn of_this_program() -> io::Result<Self> {
        std::env::current_exe().map(Self::new)
    }

    /// One by another program.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }

    /// Reads a document of this kind. `charset` is what was said of its encoding.
    ///
    /// # Errors
    /// Why it could not be read. Nothing that stands in a document does more harm than that.
    pub async fn read(
        &self,
        kind: Kind,
        bytes: Vec<u8>,
        charset: Option<&str>,
    ) -> Result<Document, Unread> {
        if bytes.len() > LARGEST {
            return Err(Unread::TooLarge);
        }
        let charset = charset.map(str::to_owned);
        match kind {
            Kind::Markdown | Kind::Text => {
                let read = move || here(kind, &bytes, charset.as_deref());
                tokio::task::spawn_blocking(read)
                    .await
                    .unwrap_or_else(|_| Err(Unread::failed("it cannot be read")))
            }
            Kind::Html => {
                let page = text::decode(&bytes, charset.as_deref(), true)?;
                self.apart("html", page.as_bytes()).await
            }
            Kind::Pdf => self.apart("pdf", &bytes).await,
        }
    }

    async fn apart(&self, what: &str, bytes: &[u8]) -> Result<Document, Unread> {
        let mut child = start(&self.program, what)
            .map_err(|error| Unread::failed(format!("the process to read it in: {error}")))?;
        // Dropped, and so ended, when the time is over or nobody waits any more.
        let answer = timeout(CEILING, converse(&mut child, bytes)).await;
        let (well, said, reason) = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Unread::failed(error)),
            Err(_) => {
                return Err(Unread::failed(format!(
                    "reading it took more than {} s",
                    CEILING.as_secs()
                )));
            }
        };
        if !well {
            return Err(Unread::Failed(explain(&reason)));
        }
        serde_json::from_slice(&said)
            .map_err(|_| Unread::failed("it has more text than is taken, or its reader is another"))
            .and_then(bounded)
    }
}

fn start(program: &Path, what: &str) -> io::Result<Child> {
    Command::new(program)
        .args([WORD, what])
        .env_clear()
        // Address space that mimalloc only reserves would count as memory.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Gives the process the document, and takes what it says: whether it went well, the answer, and the reason if not.
async fn converse(child: &mut Child, bytes: &[u8]) -> io::Result<(bool, Vec<u8>, Vec<u8>)> {
    let gone = || io::Error::other("the process to read it in has no pipes");
    let mut input = child.stdin.take().ok_or_else(gone)?;
    let mut output = child.stdout.take().ok_or_else(gone)?.take(LONGEST_ANSWER);
    let mut errors = child.stderr.take().ok_or_else(gone)?.take(LONGEST_REASON);
    let (mut said, mut reason) = (Vec::new(), Vec::new());
    let give = async {
        // One that ends early has said why.
        let _ = input.write_all(bytes).await;
        drop(input);
    };
    let ((), said_so, why) = tokio::join!(
        give,
        output.read_to_end(&mut said),
        errors.read_to_end(&mut reason)
    );
    said_so.and(why)?;
    drop((output, errors));
    let status = child.wait().await?;
    // What one that was ended left behind is no reason.
    if status.code().is_none() {
        reason.clear();
    }
    Ok((status.success(), said, reason))
}

/// What a reader said of its failure, in one line; nothing when it was ended.
fn explain(reason: &[u8]) -> String {
    let reason = String::from_utf8_lossy(reason);
    let line = reason.lines().next().unwrap_or_default().trim();
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    if line.is_empty() {
        "it is broken, or takes too much memory or time to read".to_owned()
    } else {
        line
    }
}

/// To be called first of all in `main`: in a process that was started to read one document, reads it, and gives what
/// `main` is to end with.
#[must_use]
pub fn answer() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let what = arguments.next().unwrap_or_default();
    // What it panics with may quote the document, and says nothing to anybody.
    std::panic::set_hook(Box::new(|_| {}));
    Some(match read(&what.to_string_lossy()) {
        Ok(document) => {
            let said = serde_json::to_vec(&document).unwrap_or_default();
            let mut output = io::stdout().lock();
            match output.write_all(&said).and_then(|()| output.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(reason) => {
            let _ = writeln!(io::stderr(), "{reason}");
            ExitCode::FAILURE
        }
    })
}

fn read(what: &str) -> Result<Document, Unread> {
    restrain().map_err(Unread::failed)?;
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(4 * LARGEST as u64)
        .read_to_end(&mut bytes)
        .map_err(Unread::failed)?;
    let document = match what {
        "pdf" => pdf::read(&bytes)?,
        "html" => html::read(&String::from_utf8_lossy(&bytes))?,
        _ => return Err(Unread::failed("a reader reads html and pdf")),
    };
    bounded(document.tidied())
}

/// Bounds what this process may take. What goes beyond it ends it.
#[cfg(unix)]
fn restrain() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let at_most = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(Resource::Cpu, at_most(COMPUTING))?;
    setrlimit(Resource::Core, at_most(0))?;
    #[cfg(target_os = "linux")]
    setrlimit(Resource::Data, at_most(MEMORY))?;
    Ok(())
}

#[cfg(not(unix))]
fn restrain() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_fails_or_says_nonsense_is_an_unread_document() {
        for program in ["/bin/false", "/bin/true", "/no/such/program"] {
            let read = Reader::new(program)
                .read(Kind::Pdf, b"%PDF-1.4".to_vec(), None)
                .await;
            assert!(
                matches!(read, Err(Unread::Failed(_))),
                "{program}: {read:?}"
            );
        }
    }

    #[tokio::test]
    async fn markdown_and_text_need_no_process() {
        let reader = Reader::new("/no/such/program");
        let read = reader
            .read(Kind::Markdown, b"# A\nb\n".to_vec(), None)
            .await;
        assert_eq!(read.unwrap().sections[0].path, ["A"]);
        let large = vec![b'a'; LARGEST + 1];
        assert_eq!(
            reader.read(Kind::Text, large, None).await,
            Err(Unread::TooLarge)
        );
    }
}

//! Server-sent events, as the HTML standard frames them: fields on lines, an empty line ends an event.

use std::{pin::Pin, time::Duration};

use eywa_guard::GuardedResponse;
use futures::{Stream, StreamExt as _};
use tokio::time::timeout;

use super::DeskError;

/// The most bytes of one event.
const LARGEST: usize = 1024 * 1024;
/// The desk sends a heartbeat every 15 s; after so long without one it is gone.
const SILENCE: Duration = Duration::from_secs(45);

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: String,
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Vec<u8>, DeskError>> + Send>>;

/// Events as they come.
pub(crate) struct Events {
    pieces: Pieces,
    frames: Frames,
}

impl Events {
    pub(super) fn of(response: GuardedResponse) -> Self {
        let pieces = response
            .stream(usize::MAX)
            .map(|piece| piece.map(|bytes| bytes.to_vec()).map_err(DeskError::from));
        Self {
            pieces: Box::pin(pieces),
            frames: Frames::default(),
        }
    }

    /// The next event; none when the desk ended the stream.
    ///
    /// # Errors
    /// When the connection is lost, also when nothing at all was heard for 45 s.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, DeskError> {
        loop {
            if let Some(event) = self.frames.next()? {
                return Ok(Some(event));
            }
            match timeout(SILENCE, self.pieces.next()).await {
                Ok(Some(piece)) => self.frames.take(&piece?),
                Ok(None) => return Ok(None),
                Err(_) => {
                    return Err(DeskError::Other(anyhow::anyhow!(
                        "nothing was heard of the desk for {} s",
                        SILENCE.as_secs()
                    )));
                }
            }
        }
    }
}

/// Bytes, cut into events.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    event: Event,
    size: usize,
}

impl Frames {
    fn take(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    fn next(&mut self) -> Result<Option<Event>, DeskError> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            self.size += line.len();
            self.bounded(self.size)?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                self.size = 0;
                let mut event = std::mem::take(&mut self.event);
                if event.data.is_empty() && event.name.is_empty() {
                    continue;
                }
                if event.name.is_empty() {
                    event.name = "message".to_owned();
                }
                return Ok(Some(event));
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "id" => self.event.id = Some(value.to_owned()),
                "data" => {
                    if !self.event.data.is_empty() {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                // A comment, such as the heartbeat, or a field of no use here.
                _ => {}
            }
        }
        self.bounded(self.bytes.len())?;
        Ok(None)
    }

    fn bounded(&self, size: usize) -> Result<(), DeskError> {
        if size <= LARGEST {
            return Ok(());
        }
        Err(DeskError::Other(anyhow::anyhow!(
            "the desk sent an event of more than {LARGEST} bytes"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(frames: &mut Frames, piece: &str) -> Vec<Event> {
        frames.take(piece.as_bytes());
        std::iter::from_fn(|| frames.next().unwrap()).collect()
    }

    #[test]
    fn events_are_read_whatever_pieces_they_come_in() {
        let whole =
            ": hi\n\nid: 7\r\nevent: echo\r\ndata: {\"a\":\ndata: \"é\"}\n\nevent: resync\n\n";
        let wanted = [
            Event {
                id: Some("7".to_owned()),
                name: "echo".to_owned(),
                data: "{\"a\":\n\"é\"}".to_owned(),
            },
            Event {
                id: None,
                name: "resync".to_owned(),
                data: String::new(),
            },
        ];
        assert_eq!(read(&mut Frames::default(), whole), wanted);

        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for byte in whole.as_bytes() {
            frames.take(&[*byte]);
            seen.extend(std::iter::from_fn(|| frames.next().unwrap()));
        }
        assert_eq!(seen, wanted);
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        let mut frames = Frames::default();
        frames.take(&vec![b'x'; LARGEST + 1]);
        assert!(frames.next().is_err());
    }
}

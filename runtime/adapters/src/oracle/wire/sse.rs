//! Server-sent events, as models stream them: only what an event's `data` says is of interest.
//!
//! Source: WHATWG, HTML, "Server-sent events".

/// The longest event, in bytes.
const LONGEST_EVENT: usize = 1024 * 1024;

/// An event is longer than [`LONGEST_EVENT`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Cuts a stream of bytes, whatever its pieces, into the data of events.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// A line whose end has not come.
    line: Vec<u8>,
    /// The data lines of an event whose end has not come.
    data: Option<String>,
    /// The last piece ended in a carriage return, so a line feed at the beginning of the next belongs to it.
    after_return: bool,
}

impl Decoder {
    /// Takes in a piece; gives the data of the events that it completes.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut complete = Vec::new();
        for byte in piece {
            let feeds_after_return =
                std::mem::replace(&mut self.after_return, *byte == b'\r') && *byte == b'\n';
            match byte {
                b'\n' if feeds_after_return => {}
                b'\n' | b'\r' => complete.extend(self.end_line()),
                _ if self.line.len() + self.data.as_ref().map_or(0, String::len)
                    >= LONGEST_EVENT =>
                {
                    return Err(TooLong);
                }
                byte => self.line.push(*byte),
            }
        }
        Ok(complete)
    }

    /// The event's data, if the line was the empty one that ends it.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let text = String::from_utf8_lossy(&line);
        let value = text.trim_start_matches('\u{feff}').strip_prefix("data:")?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        match &mut self.data {
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
            None => self.data = Some(value.to_owned()),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = "event: a\r\ndata: one\r\n\r\n: a comment\n\ndata:two\ndata: zwei\n\nid: 7\ndata: drü\r\rdata: cut off".as_bytes();

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        for size in 1..=STREAM.len() {
            let mut decoder = Decoder::default();
            let events: Vec<String> = STREAM
                .chunks(size)
                .flat_map(|piece| decoder.take(piece).unwrap())
                .collect();
            assert_eq!(
                events,
                ["one", "two\nzwei", "drü"],
                "in pieces of {size} bytes"
            );
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; 64 * 1024];
        let ended = (0..=LONGEST_EVENT / piece.len()).find_map(|_| decoder.take(&piece).err());
        assert_eq!(ended, Some(TooLong));
    }

    #[test]
    fn data_lines_without_end_are_given_up() {
        let mut decoder = Decoder::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1000], b"\n"].concat();
        let ended = (0..=LONGEST_EVENT / 1000).find_map(|_| decoder.take(&line).err());
        assert_eq!(ended, Some(TooLong));
    }
}

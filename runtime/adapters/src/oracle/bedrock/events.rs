//! AWS' event stream: binary messages with headers, a length and checksums.
//!
//! Source: Amazon Transcribe Developer Guide, "Event stream encoding", which describes it for all services. Messages are
//! decoded by the aws-smithy-eventstream crate.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};
use eywa_weave::ports::oracle::OracleError;

use super::WIRE;

/// One message, as far as it is of interest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Part of the answer.
    Part {
        /// Its kind, such as `contentBlockDelta`.
        kind: String,
        /// Its JSON.
        payload: Bytes,
    },
    /// The answer failed.
    Exception {
        /// Its kind, such as `throttlingException`.
        kind: String,
        /// Its JSON.
        payload: Bytes,
    },
}

/// Cuts a stream of bytes, whatever its pieces, into messages.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What has come of a message whose end has not. No longer than an answer may be.
    pending: BytesMut,
    decoder: MessageFrameDecoder,
}

impl Events {
    /// Takes in a piece; gives the messages that it completes.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Vec<Event>, OracleError> {
        self.pending.extend_from_slice(piece);
        let mut events = Vec::new();
        loop {
            match self.decoder.decode_frame(&mut self.pending) {
                Ok(DecodedFrame::Complete(message)) => events.push(read(&message)?),
                Ok(DecodedFrame::Incomplete) => return Ok(events),
                // The crate's text says where and how, and quotes nothing.
                Err(error) => {
                    return Err(
                        WIRE.unintelligible(format!("its event stream cannot be read: {error}"))
                    );
                }
            }
        }
    }
}

fn read(message: &Message) -> Result<Event, OracleError> {
    let header = |name: &str| {
        let header = message
            .headers()
            .iter()
            .find(|it| it.name().as_str() == name)?;
        Some(header.value().as_string().ok()?.as_str().to_owned())
    };
    let payload = message.payload().clone();
    match header(":message-type").as_deref() {
        Some("event") => Ok(Event::Part {
            kind: header(":event-type").unwrap_or_default(),
            payload,
        }),
        Some("exception") => Ok(Event::Exception {
            kind: header(":exception-type").unwrap_or_default(),
            payload,
        }),
        // An error that the service did not foresee has its name and text in headers.
        Some("error") => Ok(Event::Exception {
            kind: header(":error-code").unwrap_or_default(),
            payload: Bytes::new(),
        }),
        _ => Err(WIRE.unintelligible("a message of its event stream has no type")),
    }
}

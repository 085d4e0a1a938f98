//! A reply on its way to one who hears it while it is being made.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use eywa_weave::ports::voice::Piece;
use tokio::sync::Notify;

/// The most bytes that wait for a reader who cannot follow. Beyond that it misses what comes, and has the whole in the end.
const MOST_WAITING: usize = 256 * 1024;

/// [`Piece`], to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpPiece {
    /// The next words.
    Text(String),
    /// What was heard so far is no part of the answer.
    Again,
    /// A tool of this name is being called.
    Tool(String),
}

/// What one hearer has yet to read. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    more: Notify,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<HttpPiece>,
    waiting: usize,
    /// Something was put in that no `Again` has taken back.
    said: bool,
    /// It could not follow, and misses what is left of this try.
    behind: bool,
    /// A human has taken over.
    silenced: bool,
}

impl Hearing {
    pub(super) fn hear(&self, piece: Piece<'_>) {
        let mut state = self.state();
        if state.silenced {
            return;
        }
        match piece {
            Piece::Text(text) => state.say(text),
            Piece::Again => {
                state.behind = false;
                if std::mem::take(&mut state.said) {
                    state.pieces.push_back(HttpPiece::Again);
                }
            }
            Piece::Tool(name) => {
                if state.room(name.len()) {
                    state.pieces.push_back(HttpPiece::Tool(name.to_owned()));
                }
            }
            Piece::Silence => {
                *state = State {
                    silenced: true,
                    ..State::default()
                };
            }
        }
        drop(state);
        self.0.more.notify_one();
    }

    /// The next piece, once there is one. Cancelling loses nothing.
    pub(super) async fn next(&self) -> HttpPiece {
        loop {
            if let Some(piece) = self.pop() {
                return piece;
            }
            self.0.more.notified().await;
        }
    }

    /// The next piece, if there is one.
    pub(super) fn pop(&self) -> Option<HttpPiece> {
        let mut state = self.state();
        let piece = state.pieces.pop_front()?;
        if let HttpPiece::Text(text) | HttpPiece::Tool(text) = &piece {
            state.waiting -= text.len();
        }
        Some(piece)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is behind it is whole between any two statements that could panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn say(&mut self, text: &str) {
        if !self.room(text.len()) {
            return;
        }
        self.said = true;
        // A slow reader gets few long pieces instead of many short ones.
        match self.pieces.back_mut() {
            Some(HttpPiece::Text(last)) => last.push_str(text),
            _ => self.pieces.push_back(HttpPiece::Text(text.to_owned())),
        }
    }

    fn room(&mut self, more: usize) -> bool {
        self.behind |= self.waiting + more > MOST_WAITING;
        if !self.behind {
            self.waiting += more;
        }
        !self.behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(hearing: &Hearing) -> Vec<HttpPiece> {
        std::iter::from_fn(|| hearing.pop()).collect()
    }

    fn text(text: &str) -> HttpPiece {
        HttpPiece::Text(text.to_owned())
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_words_that_wait_are_joined() {
        let hearing = Hearing::default();
        for piece in [
            Piece::Text("Let me "),
            Piece::Text("see."),
            Piece::Again,
            Piece::Tool("menu"),
            Piece::Text("Tea."),
        ] {
            hearing.hear(piece);
        }
        assert_eq!(hearing.next().await, text("Let me see."));
        assert_eq!(
            all(&hearing),
            [
                HttpPiece::Again,
                HttpPiece::Tool("menu".into()),
                text("Tea.")
            ]
        );
    }

    #[test]
    fn nothing_is_taken_back_that_was_not_said() {
        let hearing = Hearing::default();
        hearing.hear(Piece::Again);
        hearing.hear(Piece::Again);
        assert!(all(&hearing).is_empty());
    }

    #[test]
    fn when_a_human_takes_over_what_nobody_has_read_is_gone() {
        let hearing = Hearing::default();
        hearing.hear(Piece::Text("I am about to"));
        hearing.hear(Piece::Silence);
        hearing.hear(Piece::Text(" say"));
        assert!(all(&hearing).is_empty());
    }

    #[test]
    fn who_cannot_follow_misses_the_rest_of_this_try_and_no_more() {
        let hearing = Hearing::default();
        let long = "x".repeat(MOST_WAITING);
        hearing.hear(Piece::Text(&long));
        hearing.hear(Piece::Text("too much"));
        assert_eq!(all(&hearing), [text(&long)]);
        hearing.hear(Piece::Text("a gap before this"));
        assert!(all(&hearing).is_empty());
        hearing.hear(Piece::Again);
        hearing.hear(Piece::Text("anew"));
        assert_eq!(all(&hearing), [HttpPiece::Again, text("anew")]);
    }
}

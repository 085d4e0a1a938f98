//! A stand-in of a pooler in transaction mode, such as PgBouncer: a client's transactions go to two sessions by turns.
//!
//! Source: PostgreSQL's documentation, "Message Flow" and "Message Formats".

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// Where it listens, before the PostgreSQL at that port, which asks its clients for no password.
pub(super) fn start(postgres: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            // Ends when the client does.
            thread::spawn(move || serve(client, postgres));
        }
    });
    port
}

fn serve(mut client: TcpStream, postgres: u16) -> io::Result<()> {
    let mut startup = read(&mut client, 0)?;
    if startup[4..] == 80_877_103_u32.to_be_bytes() {
        // No TLS.
        client.write_all(b"N")?;
        startup = read(&mut client, 0)?;
    }
    let open = || {
        let mut session = TcpStream::connect(("127.0.0.1", postgres))?;
        session.write_all(&startup)?;
        let greeting = until_ready(&mut session)?;
        io::Result::Ok((session, greeting))
    };
    let (mut session, greeting) = open()?;
    let (mut other, _) = open()?;
    client.write_all(&greeting)?;
    loop {
        let message = read(&mut client, 1)?;
        session.write_all(&message)?;
        // Query and Sync are what a session answers with being ready.
        if matches!(message[0], b'Q' | b'S') {
            let answer = until_ready(&mut session)?;
            client.write_all(&answer)?;
            if answer.ends_with(b"I") {
                std::mem::swap(&mut session, &mut other);
            }
        }
    }
}

/// All messages up to the one that says that the session is ready, and as its last byte whether a transaction is open.
fn until_ready(session: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        let message = read(session, 1)?;
        answer.extend(&message);
        if message[0] == b'Z' {
            return Ok(answer);
        }
    }
}

/// A message whose length stands behind so many bytes.
fn read(stream: &mut TcpStream, before: usize) -> io::Result<Vec<u8>> {
    let mut message = vec![0; before + 4];
    stream.read_exact(&mut message)?;
    let length = u32::from_be_bytes(message[before..].try_into().unwrap());
    message.resize(before + usize::try_from(length).unwrap(), 0);
    stream.read_exact(&mut message[before + 4..])?;
    Ok(message)
}

//! Choosing a free port for a server that must keep it across restarts.

use std::net::{Ipv4Addr, TcpListener};

use uuid::Uuid;

/// Below the range that systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere):
/// while a server is down, a client that tries again could otherwise be given the server's own port,
/// which would then connect it to itself or keep the server from coming back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A loopback port that nothing listens on at this moment. Another process may still take it first, so
/// whoever starts a server on it tries again with another.
pub fn free() -> Option<u16> {
    (0..100).map(|_| random()).find(|port| is_free(*port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn random() -> u16 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    FIRST + (random % u64::from(COUNT)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_free() {
        let port = free().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }
}

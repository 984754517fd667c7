//! `vefa events tail` while it runs.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use testing::{eventually, spawn_bound, wait_until};

use crate::ground::SOON;

/// A tail that runs.
pub(crate) struct Tail {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Tail {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn_bound(command).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let said = Arc::new(Mutex::new(Vec::new()));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let into = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let line = serde_json::from_str(&line.unwrap()).unwrap();
                into.lock().unwrap().push(line);
            }
        });
        let into = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines() {
                into.lock().unwrap().push(line.unwrap());
            }
        });
        Self { child, lines, said }
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Waits until this many lines are there.
    pub(crate) async fn has(&self, lines: usize) {
        let waited_for = format!("{lines} lines");
        let counting = async {
            loop {
                let there = self.lines.lock().unwrap().len();
                if there >= lines {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(SOON, counting).await.is_err() {
            let there = self.lines.lock().unwrap().len();
            panic!("{waited_for}, but {there}; it said: {}", self.said());
        }
    }

    pub(crate) async fn says(&self, text: &str) {
        eventually(SOON, &format!("{text:?} in what it says"), || async {
            self.said().contains(text).then_some(())
        })
        .await;
    }

    /// SIGINT, and how it ended.
    pub(crate) fn interrupt(mut self) -> (Option<i32>, Vec<Value>) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        let code = self.ended();
        (code, self.lines())
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let ended = wait_until(SOON, || self.child.try_wait().unwrap());
        let ended = ended.unwrap_or_else(|| panic!("it does not end; it said: {}", self.said()));
        ended.code()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _killed = self.child.kill().and_then(|()| self.child.wait());
    }
}

//! Adapter for Rust's std::process::Child.
//!
//! `wait` and `kill` take `&mut self`, so the language lets only one of them run at a time: a mutex
//! stands for that, and `concurrent` is not declared.  `reap` is another part of the program that
//! waits for the child, which Child knows nothing of.
//! Source: https://doc.rust-lang.org/std/process/struct.Child.html
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

type Processes = Arc<Mutex<HashMap<String, (u32, Arc<Mutex<Child>>)>>>;

extern "C" {
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn gettid() -> i32;
}

/// Returns the value of a key: the suite promises lines without spaces and escapes.
fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let wanted = format!("\"{key}\":");
    let Some(at) = line.find(&wanted) else { return "" };
    let rest = &line[at + wanted.len()..];
    match rest.strip_prefix('"') {
        Some(text) => text.split('"').next().unwrap_or(""),
        None => rest.split([',', '}']).next().unwrap_or(""),
    }
}

fn argv(line: &str) -> Vec<&str> {
    let array = line.split("\"argv\":[").nth(1).unwrap_or("");
    let array = array.split(']').next().unwrap_or("");
    array.split('"').skip(1).step_by(2).collect()
}

fn failed(error: &std::io::Error) -> String {
    let kind = match error.raw_os_error() {
        Some(1) => "EPERM",
        Some(2) => "ENOENT",
        Some(3) => "EPD",
        Some(10) => "wait:ECHILD",
        Some(22) => "EINVAL",
        _ if error.kind() == std::io::ErrorKind::InvalidInput => "EPD", // kill after a wait, old Rust
        _ => "other",
    };
    format!("\"outcome\":\"{kind}\",\"native\":\"{error}\"")
}

fn start(name: &str, line: &str, processes: &Processes) -> std::io::Result<String> {
    let argv = argv(line);
    let child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let pid = child.id();
    processes.lock().unwrap().insert(name.into(), (pid, Arc::new(Mutex::new(child))));
    Ok(format!("\"outcome\":\"nil\",\"pid\":{pid}"))
}

fn perform(line: &str, processes: &Processes) -> std::io::Result<String> {
    let (op, name) = (value(line, "op"), value(line, "process"));
    match op {
        "start" => return start(name, line, processes),
        "drop" => {
            processes.lock().unwrap().remove(name);
            return Ok("\"outcome\":\"nil\"".into());
        }
        _ => {}
    }
    let (pid, child) = processes.lock().unwrap()[name].clone();
    match op {
        "wait" => {
            let status = child.lock().unwrap().wait()?;
            Ok(match status.signal() {
                Some(signal) => format!("\"outcome\":\"ok\",\"exit_signal\":{signal}"),
                None => format!("\"outcome\":\"ok\",\"exit_code\":{}", status.code().unwrap()),
            })
        }
        "kill" => {
            child.lock().unwrap().kill()?;
            Ok("\"outcome\":\"nil\"".into())
        }
        "reap" => match unsafe { waitpid(pid as i32, std::ptr::null_mut(), 0) } {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok("\"outcome\":\"ok\"".into()),
        },
        _ => Ok("\"outcome\":\"other\"".into()),
    }
}

fn say(line: String) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

fn main() {
    let processes = Processes::default();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match value(&line, "type") {
            "hello" => say(format!(
                "{{\"type\":\"ready\",\"protocol_min\":1,\"protocol_max\":1,\"system\":\"{}\",\
                 \"implementation\":\"rust std::process::Child\",\"version\":\"{}\",\"pid\":{},\
                 \"capabilities\":[\"start\",\"wait\",\"kill\",\"reap\",\"exit-status\"]}}",
                std::env::consts::OS,
                option_env!("RUST_VERSION").unwrap_or("unknown"),
                std::process::id()
            )),
            "op" => {
                let processes = processes.clone();
                std::thread::spawn(move || {
                    let id = value(&line, "id");
                    let tid = unsafe { gettid() };
                    say(format!("{{\"type\":\"invoke\",\"id\":{id},\"tid\":{tid}}}"));
                    let answer = perform(&line, &processes).unwrap_or_else(|error| failed(&error));
                    say(format!("{{\"type\":\"return\",\"id\":{id},{answer}}}"));
                });
            }
            _ => break,
        }
    }
    std::process::exit(0);
}

//! STUB of the types; the settings room replaces it.
use std::path::PathBuf;
/// Which generations of the API are mounted; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    pub v1: bool,
    pub v2: bool,
}
#[derive(Debug, Clone)]
pub struct Config {
    pub state_dir: PathBuf,
    pub run_dir: PathBuf,
    pub api: Api,
    pub listen: Vec<Listen>,
    pub https_port: u16,
    /// Sorted by name; always holds `speech` and `realtime`.
    pub services: Vec<Service>,
    pub license: License,
    pub about: About,
    pub commands: Commands,
    pub user: Option<String>,
}
#[derive(Debug, Clone)]
pub struct Listen {
    pub address: std::net::SocketAddr,
    pub serves: Serves,
    pub tls: bool,
    pub http_disabled: HttpDisabled,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    All,
    Management,
    Monitoring,
    Speech,
    Realtime,
}
/// What a plain listener does while plain HTTP is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpDisabled {
    Close,
    Redirect,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub address: ServiceAddress,
    /// Path prefixes; empty for the built-in two, whose paths are the table of contract section 3.
    pub paths: Vec<String>,
    pub auth: Auth,
    pub licensed: Vec<String>,
    pub websocket: bool,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAddress {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Admin,
    None,
}
#[derive(Debug, Clone)]
pub struct License {
    pub authority_url: String,
    pub trust_file: PathBuf,
    pub product: String,
    pub customer_id: u32,
    pub transcription_secs_allocated: u32,
}
#[derive(Debug, Clone)]
pub struct About {
    pub version: String,
    pub variant: String,
    pub languages: Vec<String>,
}
#[derive(Debug, Clone, Default)]
pub struct Commands {
    pub reboot: Vec<String>,
    pub shutdown: Vec<String>,
    pub restart_services: Vec<String>,
}

//! rustwsgi: an application server for Python sites that takes uWSGI's place.
//!
//! The rooms, from the top floor down; a room imports only rooms of lower floors, and
//! `tests/house.rs` enforces it:
//!
//! | floor | rooms | what they do |
//! |---|---|---|
//! | 9 | [`cli`] | argv → what to do: serve, stop, reload, explain |
//! | 8 | [`emperor`] | starts an instance for each configuration of a directory |
//! | 7 | [`master`] | supervises zygotes and workers; never runs Python |
//! | 6 | [`zygote`] | imports the app once, forks workers on request |
//! | 5 | [`worker`] | serves requests |
//! | 4 | [`python`], [`static_files`], [`stats`] | the interpreter, the app, WSGI; files that no app serves; figures as documents |
//! | 3 | [`log`], [`hooks`] | where lines go and what a request line says; actions at turning points |
//! | 2 | [`config`] | THE option table, the ini reader, messages about both |
//! | 1 | [`net`], [`scoreboard`] | sockets; what every process does right now |
//! | 0 | [`sys`], [`proto`], [`error`] | the kernel; bytes in and out; every sentence a user can meet |

pub mod cli;
pub mod config;
pub mod emperor;
pub mod error;
pub mod hooks;
pub mod log;
pub mod master;
pub mod net;
pub mod proto;
pub mod python;
pub mod scoreboard;
pub mod static_files;
pub mod stats;
pub mod sys;
pub mod worker;
pub mod zygote;

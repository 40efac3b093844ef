//! The five sockets, and the only file that names zmq.
//!
//! A zmq socket belongs to one thread at a time, so the io thread owns four of them and the heartbeat
//! thread the fifth. Other threads reach the io thread through a channel, and since it sleeps in zmq's
//! poll, a byte on a [`Waker`] makes it look there. Each call into zmq may be cut short by a signal; that is
//! never an error here.
//!
//! Guiding rule: nothing below blocks, except [`Sockets::wait`] and, for a second at most, [`Sockets::close`].

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Error;
use super::connection::{Connection, Transport};
use super::socket_file::SocketFile;

/// How long undelivered messages may hold up the end of the process.
const LINGER_MS: i32 = 1000;
/// Messages kept for a slow frontend. zmq's own default, 1000, silently drops the output of a cell that
/// prints a lot.
const HIGH_WATER_MARK: i32 = 100_000;
/// How long a port may still be held by the kernel that we replace: a restart keeps the ports.
const REBIND: Duration = Duration::from_millis(1200);

/// The channels on which a frontend speaks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Shell,
    Control,
    Stdin,
}

/// What the io thread owns.
pub struct Sockets {
    /// For ipc. Above the sockets, because fields are dropped in this order.
    files: Vec<SocketFile>,
    shell: zmq::Socket,
    control: zmq::Socket,
    stdin: zmq::Socket,
    /// XPUB, because it tells us of subscriptions, which we answer with a welcome.
    iopub: zmq::Socket,
    /// Readable as long as a [`Waker`] has something to tell.
    woken: UnixStream,
    waker: Waker,
    /// The last handle to it; dropping that waits until every socket is closed.
    context: zmq::Context,
    heartbeat: JoinHandle<()>,
    /// Dropping it ends the heartbeat.
    beating: UnixStream,
}

/// Interrupts the io thread's sleep. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Waker {
    stream: Arc<UnixStream>,
    /// A byte is already on its way: a cell that prints in a loop writes one byte, not a million.
    pending: Arc<AtomicBool>,
}

impl Waker {
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // It can only fail when the buffer is full, which wakes as well, or when the kernel has ended.
            let _ = (&*self.stream).write(&[1]);
        }
    }
}

impl Sockets {
    /// Binds the sockets and starts the heartbeat. Ports that were 0 are chosen and put into `connection`.
    pub fn bind(connection: &mut Connection) -> Result<Sockets, Error> {
        let context = zmq::Context::new();
        let mut ports = connection.ports;
        let mut files: Vec<SocketFile> = Vec::new();
        let mut router = |port: &mut u32| {
            let socket = prepare(&context, zmq::ROUTER, connection)?;
            // A frontend that reconnects with its old identity takes over from its old connection.
            set(socket.set_router_handover(true))?;
            files.extend(bind(&socket, connection, port)?);
            Ok(socket)
        };
        let shell = router(&mut ports.shell)?;
        let control = router(&mut ports.control)?;
        let stdin = router(&mut ports.stdin)?;
        let iopub = prepare(&context, zmq::XPUB, connection)?;
        // Else only the first of several subscribers to the same topic is reported, and welcomed.
        set(iopub.set_xpub_verbose(true))?;
        files.extend(bind(&iopub, connection, &mut ports.iopub)?);
        let echo = prepare(&context, zmq::REP, connection)?;
        files.extend(bind(&echo, connection, &mut ports.heartbeat)?);

        // Heartbeat thread: frontend -> it -> frontend. It shares nothing with the rest, so it answers
        // whatever the rest is doing, and ends when `close` drops the other end of its stream.
        let (end, beating) = UnixStream::pair().map_err(Error::System)?;
        let heartbeat = std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || beat(&echo, &end))
            .map_err(Error::System)?;
        let (woken, stream) = UnixStream::pair().map_err(Error::System)?;
        woken.set_nonblocking(true).and_then(|()| stream.set_nonblocking(true)).map_err(Error::System)?;
        let waker = Waker { stream: Arc::new(stream), pending: Arc::default() };
        connection.ports = ports;
        Ok(Sockets { files, shell, control, stdin, iopub, woken, waker, context, heartbeat, beating })
    }

    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Sleeps until a frontend or another thread has something for us, or until the timeout.
    pub fn wait(&self, timeout: Duration) {
        let mut items = [
            self.control.as_poll_item(zmq::POLLIN),
            self.shell.as_poll_item(zmq::POLLIN),
            self.stdin.as_poll_item(zmq::POLLIN),
            self.iopub.as_poll_item(zmq::POLLIN),
            zmq::PollItem::from_fd(self.woken.as_raw_fd(), zmq::POLLIN),
        ];
        // Rounded up: a timeout of 0.4 ms must not become a loop that does not sleep.
        let milliseconds = i64::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i64::MAX);
        if let Err(error) = zmq::poll(&mut items, milliseconds)
            && error != zmq::Error::EINTR
        {
            tracing::error!(%error, "polling the sockets");
        }
        // Cleared before anyone looks into the channel: what is sent from now on wakes us again.
        let mut bytes = [0; 64];
        while matches!((&self.woken).read(&mut bytes), Ok(count) if count > 0) {}
        self.waker.pending.swap(false, Ordering::AcqRel);
    }

    /// The next message on a channel, if there is one.
    pub fn receive(&self, channel: Channel) -> Option<Vec<Vec<u8>>> {
        receive(self.router(channel))
    }

    /// The topic of the next new subscription, if there is one. Ends of subscriptions are passed over.
    pub fn subscription(&self) -> Option<Vec<u8>> {
        loop {
            let frames = receive(&self.iopub)?;
            if let Some([1, topic @ ..]) = frames.first().map(Vec::as_slice) {
                return Some(topic.to_vec());
            }
        }
    }

    pub fn send(&self, channel: Channel, frames: Vec<Vec<u8>>) {
        send(self.router(channel), frames);
    }

    pub fn publish(&self, frames: Vec<Vec<u8>>) {
        send(&self.iopub, frames);
    }

    fn router(&self, channel: Channel) -> &zmq::Socket {
        match channel {
            Channel::Shell => &self.shell,
            Channel::Control => &self.control,
            Channel::Stdin => &self.stdin,
        }
    }

    /// Delivers what is still to be delivered and gives the ports back.
    pub fn close(self) {
        let Sockets { files, shell, control, stdin, iopub, context, heartbeat, beating, .. } = self;
        drop(files);
        drop((shell, control, stdin, iopub, beating));
        if heartbeat.join().is_err() {
            tracing::error!("the heartbeat thread panicked");
        }
        drop(context);
    }
}

/// Echoes whole messages, byte for byte, until the other side of `end` is dropped.
fn beat(socket: &zmq::Socket, end: &UnixStream) {
    loop {
        let mut items =
            [socket.as_poll_item(zmq::POLLIN), zmq::PollItem::from_fd(end.as_raw_fd(), zmq::POLLIN)];
        match zmq::poll(&mut items, -1) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return tracing::error!(%error, "the heartbeat stops"),
        }
        if items[1].is_readable() || items[1].is_error() {
            return;
        }
        if let Some(frames) = receive(socket) {
            send(socket, frames);
        }
    }
}

fn receive(socket: &zmq::Socket) -> Option<Vec<Vec<u8>>> {
    loop {
        match socket.recv_multipart(zmq::DONTWAIT) {
            Ok(frames) => return Some(frames),
            Err(zmq::Error::EAGAIN) => return None,
            Err(zmq::Error::EINTR) => {}
            Err(error) => {
                tracing::error!(%error, "receiving");
                return None;
            }
        }
    }
}

/// A ROUTER drops what is for a frontend that has gone, XPUB what nobody subscribed to; neither blocks.
fn send(socket: &zmq::Socket, frames: Vec<Vec<u8>>) {
    let last = frames.len().saturating_sub(1);
    for (index, frame) in frames.iter().enumerate() {
        let more = if index < last { zmq::SNDMORE } else { 0 };
        loop {
            // As a slice: zmq copies it, so that it is still there for another try.
            match socket.send(frame.as_slice(), more | zmq::DONTWAIT) {
                Ok(()) => break,
                Err(zmq::Error::EINTR) => {}
                Err(error) => return tracing::warn!(%error, "a message was not sent"),
            }
        }
    }
}

/// A socket with the options that must be set before it is bound.
fn prepare(
    context: &zmq::Context,
    kind: zmq::SocketType,
    connection: &Connection,
) -> Result<zmq::Socket, Error> {
    let socket = set(context.socket(kind))?;
    // Without this the process would wait for ever for a frontend that has gone.
    set(socket.set_linger(LINGER_MS))?;
    set(socket.set_sndhwm(HIGH_WATER_MARK))?;
    set(socket.set_ipv6(connection.is_ipv6()))?;
    Ok(socket)
}

/// Binds to the port, or to a free one if it is 0; gives the file that an ipc socket has.
fn bind(socket: &zmq::Socket, connection: &Connection, port: &mut u32) -> Result<Option<SocketFile>, Error> {
    if *port == 0 && connection.transport == Transport::Ipc {
        let free = |port: &u32| connection.socket_file(*port).symlink_metadata().is_err();
        *port = (1..=u32::from(u16::MAX)).find(free).unwrap_or(1);
    }
    let endpoint = connection.endpoint(*port);
    let failed = |message: String| Error::Socket { endpoint: endpoint.clone(), message };
    if endpoint.contains('\0') {
        return Err(failed("there is a NUL in it".into()));
    }
    if connection.transport == Transport::Ipc {
        let bind_at = |place: &Path| {
            socket.bind(&format!("ipc://{}", place.display())).map_err(|error| error.to_string())
        };
        return SocketFile::make(&connection.socket_file(*port), REBIND, bind_at).map(Some).map_err(failed);
    }
    let give_up = Instant::now() + REBIND;
    loop {
        match socket.bind(&endpoint) {
            Ok(()) => break,
            Err(zmq::Error::EADDRINUSE) if Instant::now() < give_up => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    if *port == 0 {
        let bound = set(socket.get_last_endpoint())?.unwrap_or_default();
        let number = bound.rsplit(':').next().and_then(|number| number.parse().ok());
        *port = number.ok_or_else(|| failed(format!("no port in `{bound}`")))?;
    }
    Ok(None)
}

fn set<T>(result: Result<T, zmq::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::Socket { endpoint: "a new socket".into(), message: error.to_string() })
}

#[cfg(test)]
pub mod client {
    //! A frontend's ends of the sockets, for tests. Here, because only this file names zmq.

    use super::*;

    pub struct Client {
        context: zmq::Context,
        shell: zmq::Socket,
        control: zmq::Socket,
        stdin: zmq::Socket,
        iopub: zmq::Socket,
        heartbeat: zmq::Socket,
    }

    impl Client {
        /// Connects as jupyter_client does: one identity for all three DEALERs.
        pub fn connect(connection: &Connection, identity: &str) -> Client {
            let context = zmq::Context::new();
            let open = |kind, port| {
                let socket = context.socket(kind).unwrap();
                socket.set_linger(0).unwrap();
                if kind == zmq::DEALER {
                    socket.set_identity(identity.as_bytes()).unwrap();
                }
                if kind == zmq::SUB {
                    socket.set_rcvhwm(HIGH_WATER_MARK).unwrap();
                    socket.set_subscribe(b"").unwrap();
                }
                socket.connect(&connection.endpoint(port)).unwrap();
                socket
            };
            let ports = connection.ports;
            let iopub = open(zmq::SUB, ports.iopub);
            let shell = open(zmq::DEALER, ports.shell);
            let control = open(zmq::DEALER, ports.control);
            let stdin = open(zmq::DEALER, ports.stdin);
            let heartbeat = open(zmq::REQ, ports.heartbeat);
            Client { shell, control, stdin, iopub, heartbeat, context }
        }

        pub fn send(&self, channel: Channel, frames: Vec<Vec<u8>>) {
            self.dealer(channel).send_multipart(frames, 0).unwrap();
        }

        pub fn receive(&self, channel: Channel, timeout: Duration) -> Option<Vec<Vec<u8>>> {
            within(self.dealer(channel), timeout)
        }

        pub fn receive_iopub(&self, timeout: Duration) -> Option<Vec<Vec<u8>>> {
            within(&self.iopub, timeout)
        }

        /// Sends one ping and gives back its echo.
        pub fn ping(&self, frames: &[&[u8]], timeout: Duration) -> Option<Vec<Vec<u8>>> {
            self.heartbeat.send_multipart(frames.iter().copied(), 0).unwrap();
            within(&self.heartbeat, timeout)
        }

        fn dealer(&self, channel: Channel) -> &zmq::Socket {
            match channel {
                Channel::Shell => &self.shell,
                Channel::Control => &self.control,
                Channel::Stdin => &self.stdin,
            }
        }

        /// A second subscriber, to nothing but `topic`.
        pub fn subscribe(&self, connection: &Connection, topic: &str) -> Subscriber {
            let socket = self.context.socket(zmq::SUB).unwrap();
            socket.set_linger(0).unwrap();
            socket.set_subscribe(topic.as_bytes()).unwrap();
            socket.connect(&connection.endpoint(connection.ports.iopub)).unwrap();
            Subscriber(socket)
        }
    }

    pub struct Subscriber(zmq::Socket);

    impl Subscriber {
        pub fn receive(&self, timeout: Duration) -> Option<Vec<Vec<u8>>> {
            within(&self.0, timeout)
        }
    }

    fn within(socket: &zmq::Socket, timeout: Duration) -> Option<Vec<Vec<u8>>> {
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap();
        socket.set_rcvtimeo(milliseconds).unwrap();
        match socket.recv_multipart(0) {
            Ok(frames) => Some(frames),
            Err(zmq::Error::EAGAIN) => None,
            Err(error) => panic!("receiving: {error}"),
        }
    }
}

"""Plants one fault in a process of its own: says `ready` when it is there, and ends when its standard input does."""
import http.server
import mmap
import os
import resource
import socket
import ssl
import sys
import threading
import time


def wait():
    print("ready", flush=True)
    sys.stdin.read()


def zombies(count):
    for _ in range(int(count)):
        if os.fork() == 0:
            os._exit(0)
    wait()


def descriptors(limit):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), int(limit)))
    held = []
    try:
        while True:
            held.append(open("/dev/null"))
    except OSError:
        held.pop()
    wait()


def blocked(fifo):
    # Whoever starts a process this way waits in the kernel until it has opened its files: until somebody opens the other
    # end. No other thread of ours runs meanwhile, so that is for whoever has started us.
    print("ready", flush=True)

    os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, fifo, os.O_RDONLY, 0)])
    sys.stdin.read()


def user(number, path):
    os.setgroups([])
    os.setresgid(int(number), int(number), int(number))
    os.setresuid(int(number), int(number), int(number))
    wait()


def answer(port, status, header, value, certificate=None):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(int(status))
            if header != "-":
                self.send_header(header, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

        def date_time_string(self, timestamp=None):
            shift = float(value) if header == "-" and value != "-" else 0.0
            return super().date_time_string(time.time() + shift)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wait()


def names(address):
    """A name service that knows one address of IPv4 for every name, and says nothing when it is asked for IPv6."""
    service = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    service.bind(("127.0.0.1", 53))

    def serve():
        while True:
            question, asker = service.recvfrom(512)
            end = question.index(b"\0", 12) + 5
            if question[end - 4 : end - 2] == b"\0\1":
                header = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
                record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address)
                service.sendto(header + question[12:end] + record, asker)

    threading.Thread(target=serve, daemon=True).start()
    wait()


def memory(bytes_at_once, every, generations):
    """A chain of processes, of which only the last one grows."""
    if int(generations) > 0:
        pid = os.fork()
        if pid == 0:
            return memory(bytes_at_once, every, int(generations) - 1)
        os.waitpid(pid, 0)
        return
    threading.Thread(target=grow, args=(int(bytes_at_once), float(every)), daemon=True).start()
    wait()


def grow(bytes_at_once, every):
    held = []
    while True:
        held.append(bytearray(os.urandom(1)) * bytes_at_once)
        time.sleep(every)


def tasks(number, limit):
    """Starts as many threads as the user may have."""
    os.setresgid(int(number), int(number), int(number))
    os.setresuid(int(number), int(number), int(number))
    resource.setrlimit(resource.RLIMIT_NPROC, (int(limit), int(limit)))
    try:
        while True:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
    except RuntimeError:
        pass
    wait()


def unread():
    """Writes into a pipe from which nobody reads, although somebody could."""
    _, writer = os.pipe()
    threading.Thread(target=lambda: os.write(writer, bytes(1 << 20)), daemon=True).start()
    wait()


def limited(share):
    """Maps so much of what it may."""
    with open("/proc/self/statm") as statm:
        taken = int(statm.read().split()[0]) * resource.getpagesize()
    most = taken + (256 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    mapped = mmap.mmap(-1, int(most * float(share)) - taken)
    wait()
    mapped.close()


def group(path):
    """Enters a control group."""
    with open(os.path.join(path, "cgroup.procs"), "w") as procs:
        procs.write(str(os.getpid()))
    wait()


def spin(group):
    """Enters a control group, and has more to do than that may."""
    with open(os.path.join(group, "cgroup.procs"), "w") as procs:
        procs.write(str(os.getpid()))

    def forever():
        while True:
            pass

    threading.Thread(target=forever, daemon=True).start()
    wait()


def eat(group):
    """Enters a control group, and has a child take more than that may have."""
    with open(os.path.join(group, "cgroup.procs"), "w") as procs:
        procs.write(str(os.getpid()))
    pid = os.fork()
    if pid == 0:
        held = []
        while True:
            held.append(bytearray(b"x") * (1 << 20))
    os.waitpid(pid, 0)
    wait()


globals()[sys.argv[1]](*sys.argv[2:])

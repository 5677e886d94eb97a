"""An exporter: over TLS if it has certificates, packed, for those who know the word; one path drips, one is packed
tighter than anybody should unpack, one lies."""
import gzip, http.server, ssl, sys, time
port, tls = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
BOMB = gzip.compress(b"# " + b"x" * (64 << 20) + b"\n")
LIES = b"""# TYPE lie counter
lie{a="1"} 5
lie{a="1"} 6
lie{a="2"} NaN
lie{a="3"} +Inf
lie{a="4" 1
lie 1 99999999999999
lie{a="5"} one
# TYPE lie gauge
"""
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = LIES if self.path == "/lies" else BOMB if self.path == "/bomb" else None
        if page is None:
            if self.headers.get("authorization") != "Bearer s3cret":
                self.send_error(401)
                return
            assert "gzip" in self.headers.get("accept-encoding", "")
            page = gzip.compress(b"# HELP app_jobs_total Jobs\n# TYPE app_jobs_total counter\napp_jobs_total{kind=\"a\"} 7\n")
        self.send_response(200)
        if self.path != "/lies":
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        if self.path == "/drip":
            for byte in page:
                self.wfile.write(bytes([byte])); self.wfile.flush(); time.sleep(1)
            return
        self.wfile.write(page)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.handle_error = lambda *args: None
if tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls + "/server.pem", tls + "/server.key")
    context.load_verify_locations(tls + "/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()

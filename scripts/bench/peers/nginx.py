"""nginx with one worker, and with what a front door for long uploads would set."""

from lib.contender import Contender, output

SETTINGS = """
daemon off; worker_processes %(cores)d; %(user)s pid nginx.pid; error_log stderr error;
events { worker_connections %(connections)d; }
http {
    access_log off; default_type application/json; server_tokens off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    keepalive_timeout 300; keepalive_requests 1000000000; keepalive_time 24h;
    client_max_body_size 0; client_body_timeout 300; send_timeout 300;
    ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    upstream backend {
        server 127.0.0.1:%(backend)d;
        keepalive 1024; keepalive_requests 1000000000; keepalive_time 24h; keepalive_timeout 300;
    }
    proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Connection "";
    proxy_max_temp_file_size 0; proxy_request_buffering off;
    proxy_read_timeout 300; proxy_send_timeout 300;
    server {
        listen 127.0.0.1:%(port)d ssl backlog=4096;
        location = /own { return 200 '{"status":"ok"}'; }
        location /api/ { proxy_pass http://backend; }
        location = /api/ws {
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
            proxy_set_header Host $host; proxy_pass http://backend;
        }
%(guarded)s
    }
}
"""

GUARDED = """
        location /guarded/ {
            auth_basic bench; auth_basic_user_file htpasswd; proxy_pass http://backend;
        }
"""


class Peer(Contender):
    program = "nginx"
    note = "one worker, 1,024 kept connections to the backend, request buffering off"
    user = "user root;"  # its master starts a worker; else the worker can't read what we wrote

    @classmethod
    def version(cls):
        return output(cls.program, "-v").split("/")[-1]

    def configure(self):
        if self.password:
            (self.folder / "htpasswd").write_text(self.password + "\n")
        values = {
            "user": self.user,
            "port": self.port,
            "cores": self.cores,
            "connections": self.connections,
            "backend": self.backend,
            "guarded": GUARDED if self.password else "",
        }
        (self.folder / "nginx.conf").write_text(SETTINGS % values)

    def command(self):
        return [self.program, "-e", "stderr", "-p", self.folder, "-c", self.folder / "nginx.conf"]

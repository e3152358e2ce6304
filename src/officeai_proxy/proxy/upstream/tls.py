"""What TLS to the upstream means here: whose certificates are trusted and what is spoken."""

import ssl

import certifi


def client_context() -> ssl.SSLContext:
    """A context that checks the certificate and the host's name.

    Trusted are the system's authorities (OpenSSL itself follows SSL_CERT_FILE and SSL_CERT_DIR)
    and, because slim images come without any, those of certifi.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context

"""Whether an HTTP server answers at all, asked without the retries of a vendor's client."""

import contextlib
import http.client
import ssl
import urllib.error
import urllib.request


def probe(url: str, seconds: float) -> None:
    """Send one GET request; any answer will do, even a refusal.

    Args:
        url: An ``http://`` or ``https://`` address.
        seconds: Longest wait for a connection, and for an answer.

    Raises:
        OSError: If nothing answers.
        ValueError: If it is no address.
    """
    # No credentials are sent, so the certificate is left to the vendor's client, which is configured for it. A default
    # context would load the system's certificates, 70 ms for each of a run's probes.
    any_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    any_certificate.check_hostname = False
    any_certificate.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(urllib.error.HTTPError):
        try:
            urllib.request.urlopen(url, timeout=seconds, context=any_certificate).close()  # nosec B310
        except http.client.InvalidURL as error:
            raise ValueError(str(error)) from None

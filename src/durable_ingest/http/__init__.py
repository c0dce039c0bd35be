"""The one HTTP client that sources use: guarded, bounded in bytes and time, retried.

`HttpClient.get` reads one address. What it may reach is checked where the connection is made
(`guard`), how much it may bring is counted while the body arrives (`body`), and how often it
tries again follows the server's own words (`retrying`).
"""

from durable_ingest.http.client import Head, HttpClient, HttpResponse
from durable_ingest.http.guard import check_url

__all__ = ["Head", "HttpClient", "HttpResponse", "check_url"]

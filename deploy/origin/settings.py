"""The origin's settings: where it listens and where the services are."""

from typing import Annotated

from pydantic import HttpUrl, UrlConstraints

from shared.runtime.settings import HttpSettings, LogSettings, Port

ServiceUrl = Annotated[HttpUrl, UrlConstraints(allowed_schemes=["http", "https"], host_required=True)]


class OriginSettings(LogSettings):
    """`ORIGIN_HOST`, `ORIGIN_PORT` and the address of each service."""

    origin_host: str = "127.0.0.1"
    origin_port: Port = 8000
    ingest_url: ServiceUrl = HttpUrl("http://127.0.0.1:8001")
    status_url: ServiceUrl = HttpUrl("http://127.0.0.1:8002")
    processor_url: ServiceUrl = HttpUrl("http://127.0.0.1:8003")

    @property
    def http(self) -> HttpSettings:
        """Where the origin listens."""
        return HttpSettings(http_host=self.origin_host, http_port=self.origin_port)

    @property
    def services(self) -> dict[str, str]:
        """The address of each service by its name, without a slash at the end."""
        urls = {"ingest": self.ingest_url, "status": self.status_url, "processor": self.processor_url}
        return {name: str(url).rstrip("/") for name, url in urls.items()}

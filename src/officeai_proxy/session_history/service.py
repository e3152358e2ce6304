"""What every session history service can do, as an abstract class; keeps nothing itself."""

from abc import ABC, abstractmethod
from typing import Self

from officeai_proxy.session_history.messages import Session


class SessionHistoryService(ABC):
    """The conversations of an agent's users.

    A session belongs to one user: the same id of another user is another session. All that is
    returned is a copy; to change it changes nothing that is kept.
    """

    @abstractmethod
    async def create_session(self, user_id: str, session_id: str | None = None) -> Session:
        """A new session; with an id that the user has already, the session as it is.

        Args:
            user_id: whose it is.
            session_id: its name, 1 to 255 characters; blank or absent: a UUID.

        Raises:
            UnprocessableInput: a name cannot be used.
        """

    @abstractmethod
    async def get_session(self, user_id: str, session_id: str) -> Session | None:
        """A session with all of its messages, oldest first; None when it was deleted.

        Raises:
            UnprocessableInput: a name cannot be used.
        """

    @abstractmethod
    async def list_sessions(self, user_id: str) -> list[Session]:
        """All sessions of a user, newest activity first, without their messages.

        Raises:
            UnprocessableInput: the name cannot be used.
        """

    @abstractmethod
    async def append_message(self, session: Session, message: object) -> None:
        """Add to the end of what is kept of *session*, and to `session.messages`.

        Args:
            session: as this service gave it.
            message: a `Message`, a dict, an object with `model_dump`, or a list of any of these.

        Raises:
            UnprocessableInput: something in *message* is no message; nothing was added.
            NotFound: there is no such session; nothing was added.
        """

    @abstractmethod
    async def delete_session(self, user_id: str, session_id: str) -> None:
        """Delete a session. To delete what is not there is no error, whatever it is called.

        Raises:
            UnprocessableInput: a name is no text.
        """

    @abstractmethod
    async def start(self) -> None:
        """Make ready what the service needs. The first use does it too."""

    @abstractmethod
    async def stop(self) -> None:
        """Close what is open. Nothing that is kept is lost."""

    @abstractmethod
    async def health(self) -> bool:
        """Whether the service could be used right now; False once it was stopped."""

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

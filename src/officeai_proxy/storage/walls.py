"""A caller in, the condition out that keeps their statement inside their workspace.

Every statement of a repository carries it, so the wall stands in the SQL and not in a check before.
"""

from sqlalchemy import ColumnElement, Table, and_, case

from officeai_proxy.model import Caller


def inside(caller: Caller, table: Table) -> ColumnElement[bool]:
    """Rows of *table* in the caller's workspace, and of the caller's user if the key has one."""
    workspace = table.c.workspace == caller.workspace
    if caller.user is None:
        return workspace
    return and_(workspace, table.c.user_identifier == caller.user)


def only_checked(wall: ColumnElement[bool]) -> ColumnElement[bool]:
    """*wall* as a condition on rows that something else finds.

    SQLite, which has no statistics, takes a workspace for ten rows, and would rather walk the index
    of all of it than look up some dozens. No index fits what is inside a CASE.
    """
    return case((wall, 1), else_=0) == 1

"""Many rows in one statement, whatever the database: rows are new, or take the place of what was there.

SQLite gets `executemany`, which it runs at full speed; PostgreSQL one array a column (`unnest`), one round trip, and
COPY for what is certainly new.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import asyncpg
from sqlalchemy import ARRAY, Table, bindparam, func, select
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

Values = dict[str, Any]


@dataclass(frozen=True)
class Conflict:
    """What happens to a row whose key is there already: some columns are replaced, others are added to."""

    replaced: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


#: The row that is there stays as it is.
KEPT = Conflict()


def replacing(table: Table) -> Conflict:
    """The row that is there is replaced."""
    return Conflict(replaced=tuple(column.name for column in table.columns if not column.primary_key))


async def write(connection: AsyncConnection, table: Table, rows: Sequence[Values], conflict: Conflict = KEPT) -> None:
    """Writes the rows. Each names every column of the table; no key occurs twice."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        await connection.execute(_postgresql(table, conflict), _columns(table, rows))
    else:
        await connection.execute(_sqlite(table, conflict), rows)


async def append(connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Writes rows that are known to be new, as fast as the database takes them: COPY, or `executemany`.

    Each names every column in the table's order. A row whose key is there after all fails the transaction. The
    connection must be in a transaction.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        await _copy(connection, table, rows)
    else:
        await connection.exec_driver_sql(_sqlite_insert(table), rows)


async def _copy(connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    try:
        await driver.copy_records_to_table(table.name, records=rows, columns=[column.name for column in table.columns])
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError(f"COPY {table.name}", None, error) from error


@cache
def _sqlite_insert(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(table.columns))})"  # noqa: S608 - our names


def _columns(table: Table, rows: Collection[Values]) -> Values:
    return {column.name: [row[column.name] for row in rows] for column in table.columns}


@cache
def _postgresql(table: Table, conflict: Conflict) -> PostgresqlInsert:
    names = [column.name for column in table.columns]
    arrays = [bindparam(column.name, type_=ARRAY(column.type)) for column in table.columns]
    given = func.unnest(*arrays).table_valued(*names).render_derived()
    statement = postgresql_insert(table).from_select(names, select(*(given.c[name] for name in names)))
    changed = _changed(table, conflict, statement)
    keys = table.primary_key
    return statement.on_conflict_do_update(keys, set_=changed) if changed else statement.on_conflict_do_nothing(keys)


@cache
def _sqlite(table: Table, conflict: Conflict) -> SqliteInsert:
    statement = sqlite_insert(table)
    changed = _changed(table, conflict, statement)
    keys = table.primary_key
    return statement.on_conflict_do_update(keys, set_=changed) if changed else statement.on_conflict_do_nothing(keys)


def _changed(table: Table, conflict: Conflict, statement: PostgresqlInsert | SqliteInsert) -> Values:
    replaced = {name: statement.excluded[name] for name in conflict.replaced}
    return replaced | {name: table.c[name] + statement.excluded[name] for name in conflict.added}

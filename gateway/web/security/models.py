"""What the accounts' JSON routes take and give."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from gateway.role import Role
from gateway.store.accounts import Token, User
from gateway.web.principal import How, Principal, Scope
from gateway.web.security.administration import DAYS_MAX, LABEL_MAX


class Model(BaseModel):
    """Strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Me(Model):
    """Who asks."""

    name: str
    role: Role
    how: How
    scopes: list[Scope]

    @classmethod
    def of(cls, who: Principal) -> Me:
        """A principal as JSON shows it."""
        return cls(name=who.name, role=who.role, how=who.how, scopes=sorted(who.token_scopes))


class UserOut(Model):
    """A user. federated: signs in by the hospital's provider, which also says the role."""

    name: str
    role: Role
    disabled: bool
    must_change_password: bool
    federated: bool
    created_at: datetime
    signed_in_at: datetime | None

    @classmethod
    def of(cls, user: User) -> UserOut:
        """A user as JSON shows it."""
        return cls(**{key: getattr(user, key) for key in cls.model_fields})


class Users(Model):
    """All users, by name."""

    items: list[UserOut]


class NewUser(Model):
    """A user to add."""

    name: str = Field(min_length=1, max_length=200)
    role: Role


class UserChange(Model):
    """What shall be otherwise; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None


class OneTimePassword(Model):
    """Told this once: to be changed at the first sign-in."""

    name: str
    one_time_password: str


class TokenOut(Model):
    """A token without its secret."""

    token_id: str
    user: str
    label: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, token: Token) -> TokenOut:
        """A token as JSON shows it."""
        return cls(
            token_id=token.token_id,
            user=token.user.name,
            label=token.label,
            scopes=[Scope(scope) for scope in token.scopes],
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
        )


class Tokens(Model):
    """Tokens, the newest first."""

    items: list[TokenOut]


class NewToken(Model):
    """A token to issue. days: how long it is good, null until it is revoked."""

    label: str = Field(min_length=1, max_length=LABEL_MAX)
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    days: int | None = Field(365, ge=1, le=DAYS_MAX)


class IssuedToken(Model):
    """A new token and its secret, told this once: Authorization: Bearer <secret>."""

    token: TokenOut
    secret: str

-- Who people are at a provider of OpenID Connect, and tokens that end by themselves: those of sign-ins on the page.

CREATE TABLE identities (
    person       BLOB PRIMARY KEY REFERENCES people (id),
    issuer       TEXT NOT NULL,
    -- As the provider calls them; none: they are whoever comes first with the e-mail address.
    subject      TEXT,
    email        TEXT,
    -- As the provider named them at the last sign-in: a list, as JSON.
    member_of    TEXT NOT NULL,
    signed_in_ms INTEGER,
    UNIQUE (issuer, subject),
    UNIQUE (issuer, email),
    CHECK (subject IS NOT NULL OR email IS NOT NULL)
) WITHOUT ROWID;

ALTER TABLE api_tokens ADD COLUMN expires_ms INTEGER;

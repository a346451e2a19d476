//! Changing a password, and asking for it before what can't be undone.

use std::net::IpAddr;

use serde_json::json;

use super::{
    Accounts, Actor, Busy, Identity, Invalid, LoginId, Password, StoreError, TryLater, UserId, password::Verdict,
    sessions::end_sessions,
};

/// Why a password was not changed or confirmed; then the old one holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The person's: too short or too long.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The person's: that is not the present password.
    #[error("that is not the present password; try again")]
    Wrong,
    /// Too many failures for that account or from there.
    #[error(transparent)]
    TryLater(#[from] TryLater),
    /// Ours.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Whether that is the user's password: to be asked before what can't be undone. Throttled like a login.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn confirm_password(&self, user: &UserId, from: IpAddr, password: &str) -> Result<(), PasswordError> {
        self.current_password(user, from, password).await.map(drop)
    }

    /// The present hash, if that is the password.
    async fn current_password(&self, user: &UserId, from: IpAddr, password: &str) -> Result<String, PasswordError> {
        const SELECT: &str = "SELECT password FROM users WHERE id = $1 AND password IS NOT NULL";
        self.logins().attempt(self.now_ms(), user.as_str(), from).map_err(TryLater::from)?;
        let select = sqlx::query_scalar(SELECT).bind(user.as_str());
        let phc: Option<String> = select.fetch_optional(self.db().read()).await?;
        match self.0.hasher.verify(password, phc.clone()).await {
            Ok(Verdict::Wrong) => Err(PasswordError::Wrong),
            Ok(Verdict::Right { .. }) => {
                self.logins().succeeded(user.as_str(), from);
                phc.ok_or(PasswordError::Wrong)
            }
            Err(busy) => {
                self.logins().undecided(user.as_str(), from);
                Err(busy.into())
            }
        }
    }

    /// Changes the password of whoever is signed in, and ends all their other sessions. `old` may be left out only where
    /// there is no password yet. Says which sessions have ended.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn change_password(
        &self,
        who: &Identity,
        from: IpAddr,
        old: Option<&str>,
        new: &Password,
    ) -> Result<Vec<LoginId>, PasswordError> {
        const REPLACE: &str = "UPDATE users SET password = $2 WHERE id = $1 AND password = $3";
        const SET: &str = "UPDATE users SET password = $2 WHERE id = $1 AND password IS NULL";
        let old = match old {
            Some(old) => Some(self.current_password(&who.user, from, old).await?),
            None => None,
        };
        let new = self.0.hasher.hash(new).await?;
        let mut tx = self.db().begin().await?;
        let set = sqlx::query(if old.is_some() { REPLACE } else { SET }).bind(who.user.as_str()).bind(new);
        let set = if old.is_some() { set.bind(old) } else { set };
        if set.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(PasswordError::Wrong);
        }
        let ended = end_sessions(&mut tx, &who.user, Some(&who.session)).await?;
        let actor = Actor::User(who.user.clone());
        self.audit_in(&mut tx, &actor, "user.password", who.user.as_str(), &json!({})).await?;
        tx.commit().await?;
        Ok(ended)
    }
}

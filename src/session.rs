//! What TypeScript calls: one method for each thing that can happen in a page.

use std::{cell::RefCell, panic, rc::Rc};

use js_sys::Function;

use tidesync_engine::{
    Config, Engine,
    interface::{Call, Input, RowUser},
};
use wasm_bindgen::{JsError, JsValue, prelude::wasm_bindgen};

use crate::{host::Host, shell::Shell, stores::whole};

thread_local! {
    static ON_PANIC: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Sets what is called when the engine panics, with the place in the source: the instance and all
/// its sessions are dead from then on.
///
/// The place and nothing of what was there: a panic's message might quote user data.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(callback: Function) {
    ON_PANIC.set(Some(callback));
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        if let Some(callback) = ON_PANIC.take() {
            // Nothing is left to do if the callback throws: the instance ends here.
            let _ = callback.call1(&JsValue::NULL, &place.into());
        }
    }));
}

/// A running engine for one database. Every method returns at once; what comes of it comes through
/// the [`Host`].
#[wasm_bindgen]
pub struct Session {
    shell: Rc<Shell>,
}

#[wasm_bindgen]
impl Session {
    /// An engine that has not started.
    ///
    /// `config` is the engine's configuration as JSON.
    ///
    /// # Errors
    /// When the configuration is not of its form; the message names the field.
    #[wasm_bindgen(constructor)]
    pub fn new(database: String, url: &str, config: &str, host: Host) -> Result<Self, JsError> {
        let config = Config::from_json(config).map_err(|error| JsError::new(&error.to_string()))?;
        Ok(Self {
            shell: Shell::new(Engine::new(config), database, url, host),
        })
    }

    /// This tab leads from now on.
    pub fn start(&self, online: bool, visible: bool, user: Option<String>, enabled: Option<bool>) {
        self.shell.turn(Input::Start {
            online,
            visible,
            user,
            enabled,
        });
    }

    /// This tab no longer leads, or its database is closing: the connection is closed at once.
    pub fn stop(&self) {
        self.shell.close_connection();
        self.shell.turn(Input::Stop);
    }

    /// Tracked changes of one table were committed. `user` is `o`, `n` or `u<id>` as in log rows;
    /// `lids` are key texts joined by U+0000.
    pub fn captured(&self, table: String, user: &str, lids: &str, trigger: bool) {
        let user = match user.strip_prefix('u') {
            Some(id) => RowUser::User(id.to_owned()),
            None if user == "n" => RowUser::Nobody,
            None => RowUser::Owner,
        };
        let lids = lids.split('\0').map(str::to_owned).collect();
        self.shell.turn(Input::Captured {
            table,
            user,
            lids,
            trigger,
        });
    }

    /// The browser says that the network came or went.
    pub fn online(&self, online: bool) {
        self.shell.turn(Input::Online { online });
    }

    /// Some page of the app became visible, or the last one was hidden.
    pub fn visible(&self, visible: bool) {
        self.shell.turn(Input::Visible { visible });
    }

    /// Another user signed in, or the user signed out.
    #[wasm_bindgen(js_name = userChanged)]
    pub fn user_changed(&self, user: Option<String>) {
        self.shell.turn(Input::UserChanged { user });
    }

    /// `setAutoSyncEnabled`.
    #[wasm_bindgen(js_name = setEnabled)]
    pub fn set_enabled(&self, enabled: bool) {
        self.shell.turn(Input::SetEnabled { enabled });
    }

    /// A token can be had again.
    #[wasm_bindgen(js_name = tokenAvailable)]
    pub fn token_available(&self) {
        self.shell.turn(Input::TokenAvailable);
    }

    /// `forceSync`; `Host.resolve` is called with `call`.
    #[wasm_bindgen(js_name = forceSync)]
    pub fn force_sync(&self, call: f64) {
        self.shell.turn(Input::ForceSync {
            call: Call(whole(&call.into())),
        });
    }

    /// `triggerBackup`; `Host.resolve` is called with `call`.
    pub fn backup(&self, call: f64) {
        self.shell.turn(Input::Backup {
            call: Call(whole(&call.into())),
        });
    }
}

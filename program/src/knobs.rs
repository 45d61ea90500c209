//! Several knobs set together, whatever their order.

use ip_conntrack::{Config, ConfigError};

use crate::cli::Setting;

/// Sets knobs. A low threshold may be given before the high one that makes room for it. => the settings in
/// an order in which each can be made.
///
/// # Errors
///
/// A setting is refused even after all others were made; some of them may have been.
pub(crate) fn set_all(
    config: &mut Config,
    settings: &[Setting],
) -> Result<Vec<Setting>, ConfigError> {
    let mut waiting: Vec<_> = settings.iter().collect();
    let mut made = Vec::with_capacity(waiting.len());
    loop {
        let (before, mut refused) = (waiting.len(), None);
        waiting.retain(
            |setting| match config.set_by_name(&setting.name, &setting.value) {
                Ok(_) => {
                    made.push((*setting).clone());
                    false
                }
                Err(error) => {
                    refused = Some(error);
                    true
                }
            },
        );
        match refused {
            None => return Ok(made),
            Some(error) if waiting.len() == before => return Err(error),
            Some(_) => {}
        }
    }
}

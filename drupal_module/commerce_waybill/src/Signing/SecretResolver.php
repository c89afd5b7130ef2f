<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Signing;

use Drupal\Core\Site\Settings;
use Drupal\key\KeyRepositoryInterface;

/**
 * Finds secrets where they are kept; configuration holds references only.
 */
class SecretResolver {

  public function __construct(private readonly ?KeyRepositoryInterface $keys = NULL) {}

  /**
   * Gives the secret behind a reference.
   *
   * @param string $reference
   *   "env:NAME", "settings:NAME" (settings.php) or "key:ID" (Key module).
   *
   * @return string
   *   The secret; empty when there is none, which closes the door.
   */
  public function resolve(string $reference): string {
    [$kind, $name] = explode(':', $reference, 2) + [1 => ''];
    $secret = match ($kind) {
      'env' => getenv($name),
      'settings' => Settings::get($name, ''),
      'key' => $this->keys?->getKey($name)?->getKeyValue(),
      default => '',
    };
    return is_string($secret) ? trim($secret) : '';
  }

  /**
   * Says what is wrong with a reference, or nothing.
   *
   * @param string $reference
   *   A reference as for resolve().
   *
   * @return string
   *   "form" when it is no reference, "empty" when nothing usable is there,
   *   an empty string when it is good.
   */
  public function mistake(string $reference): string {
    if (!preg_match('/^(env|settings|key):\S+$/', $reference)) {
      return 'form';
    }
    try {
      SigningKey::bytes($this->resolve($reference));
    }
    catch (\InvalidArgumentException) {
      return 'empty';
    }
    return '';
  }

}

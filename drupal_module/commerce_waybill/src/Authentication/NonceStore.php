<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Authentication;

use Drupal\Core\Database\Connection;
use Drupal\Core\Database\IntegrityConstraintViolationException;

/**
 * Remembers nonces for as long as their request would be accepted.
 */
class NonceStore {

  public function __construct(private readonly Connection $database) {}

  /**
   * Uses a nonce up.
   *
   * @param string $key_id
   *   The key that signed.
   * @param string $nonce
   *   Its nonce.
   * @param int $expires
   *   Unix time from which on the request is refused for its age.
   *
   * @return bool
   *   FALSE when it was used before: one insert decides, also between two
   *   requests at the same time.
   */
  public function spend(string $key_id, string $nonce, int $expires): bool {
    try {
      $this->database->insert('commerce_waybill_nonce')
        ->fields(['hash' => hash('sha256', "$key_id\n$nonce"), 'expires' => $expires])
        ->execute();
      return TRUE;
    }
    catch (IntegrityConstraintViolationException) {
      return FALSE;
    }
  }

  /**
   * Forgets nonces that cannot be accepted any more.
   */
  public function purge(int $now): void {
    $this->database->delete('commerce_waybill_nonce')->condition('expires', $now, '<')->execute();
  }

}

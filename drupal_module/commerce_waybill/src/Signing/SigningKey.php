<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Signing;

/**
 * Turns a shared secret into the bytes that sign.
 */
final class SigningKey {

  /**
   * Gives the bytes of a secret, as Standard Webhooks writes them.
   *
   * @param string $secret
   *   Base64, usually behind the prefix "whsec_".
   *
   * @return string
   *   The key, never empty.
   *
   * @throws \InvalidArgumentException
   *   When the secret is empty or its base64 is not.
   *
   * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
   */
  public static function bytes(#[\SensitiveParameter] string $secret): string {
    $key = base64_decode(str_starts_with($secret, 'whsec_') ? substr($secret, 6) : $secret, TRUE);
    if ($key === FALSE || $key === '') {
      throw new \InvalidArgumentException('The secret is empty or not base64.');
    }
    return $key;
  }

}

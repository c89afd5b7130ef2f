<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Signing;

/**
 * Signs what this site posts.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
final class StandardWebhooks {

  /**
   * Gives the three headers of one signed message.
   *
   * @param string $id
   *   The message's id: the same at every attempt.
   * @param int $timestamp
   *   Unix time of this attempt.
   * @param string $body
   *   The exact bytes that are sent.
   * @param string $secret
   *   The shared secret.
   *
   * @return array<string, string>
   *   Header values by name.
   */
  public static function headers(string $id, int $timestamp, string $body, #[\SensitiveParameter] string $secret): array {
    $signature = hash_hmac('sha256', "$id.$timestamp.$body", SigningKey::bytes($secret), TRUE);
    return [
      'webhook-id' => $id,
      'webhook-timestamp' => (string) $timestamp,
      'webhook-signature' => 'v1,' . base64_encode($signature),
    ];
  }

}

<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Signing;

/**
 * Reads and verifies one HTTP Message Signature with HMAC-SHA256.
 *
 * Only what Waybill signs is understood: one signature over method, path,
 * query and content digest. The authority is left out because proxies rewrite
 * it; the tag names the site instead.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9421
 */
final class MessageSignature {

  /**
   * Seconds that the signer's clock may differ from ours.
   */
  public const TOLERANCE = 300;

  private const KNOWN = ['@method', '@path', '@query', 'content-digest'];
  private const INPUT = '/^([a-z*][a-z0-9_.*-]*)=(\(("[^"\\\\]*"(?: "[^"\\\\]*")*)\)((?:;[a-z]+=(?:[0-9]{1,15}|"[^"\\\\]*"))*))$/D';

  /**
   * Constructs a signature as it was sent.
   *
   * @param string[] $components
   *   The covered components.
   * @param string $parameters
   *   The signature parameters exactly as sent.
   * @param string $signature
   *   The raw signature.
   * @param string $keyId
   *   Which key signed.
   * @param int $created
   *   Unix time of signing.
   * @param string $nonce
   *   A value that is used once.
   * @param string $tag
   *   The site that the request is meant for.
   */
  private function __construct(
    private readonly array $components,
    private readonly string $parameters,
    private readonly string $signature,
    public readonly string $keyId,
    public readonly int $created,
    public readonly string $nonce,
    public readonly string $tag,
  ) {}

  /**
   * Reads the two headers of a signature.
   *
   * @param string $input
   *   The value of Signature-Input.
   * @param string $signature
   *   The value of Signature.
   *
   * @throws \Drupal\commerce_waybill\Signing\RefusedSignature
   *   When they are not one signature as Waybill makes it.
   */
  public static function parse(string $input, string $signature): self {
    if (!preg_match(self::INPUT, $input, $found)) {
      throw new RefusedSignature('Signature-Input is not one signature with quoted components and plain parameters.');
    }
    [, $label, $parameters, $components, $tail] = $found;
    preg_match_all('/;([a-z]+)=(?:"([^"]*)"|([0-9]+))/', $tail, $pairs, PREG_SET_ORDER);
    $given = [];
    foreach ($pairs as $pair) {
      $given[$pair[1]] = $pair[3] ?? $pair[2];
    }
    if (count($given) !== count($pairs)) {
      throw new RefusedSignature('A signature parameter is given twice.');
    }
    if (($given['alg'] ?? 'hmac-sha256') !== 'hmac-sha256') {
      throw new RefusedSignature('The signature algorithm is not hmac-sha256.');
    }
    foreach (['created', 'keyid', 'nonce', 'tag'] as $name) {
      if (($given[$name] ?? '') === '') {
        throw new RefusedSignature("The signature has no $name.");
      }
    }
    if (!preg_match('/^' . preg_quote($label, '/') . '=:([A-Za-z0-9+\/]+={0,2}):$/D', $signature, $value)) {
      throw new RefusedSignature('Signature does not hold the one signature that Signature-Input names.');
    }
    preg_match_all('/"([^"]*)"/', $components, $names);
    return new self($names[1], $parameters, (string) base64_decode($value[1], TRUE), $given['keyid'], (int) $given['created'], $given['nonce'], $given['tag']);
  }

  /**
   * Verifies the signature over a request.
   *
   * @param string $method
   *   The request's method, upper case.
   * @param string $target
   *   Path and query exactly as in the request line.
   * @param string $body
   *   The raw body.
   * @param string $digest
   *   The value of Content-Digest, or an empty string.
   * @param string $secret
   *   The shared secret of the key that signed.
   * @param int $now
   *   Unix time.
   *
   * @throws \Drupal\commerce_waybill\Signing\RefusedSignature
   *   When anything is missing, old, or does not match.
   */
  public function verify(string $method, string $target, string $body, string $digest, #[\SensitiveParameter] string $secret, int $now): void {
    $this->checkCover($method, $body);
    [$path, $query] = explode('?', $target, 2) + [1 => ''];
    $values = [
      '@method' => $method,
      '@path' => $path === '' ? '/' : $path,
      '@query' => '?' . $query,
      'content-digest' => $digest,
    ];
    $lines = array_map(static fn (string $name): string => "\"$name\": $values[$name]", $this->components);
    $base = implode("\n", [...$lines, "\"@signature-params\": $this->parameters"]);
    if (!hash_equals(hash_hmac('sha256', $base, SigningKey::bytes($secret), TRUE), $this->signature)) {
      throw new RefusedSignature('The signature does not match.');
    }
    if (abs($now - $this->created) > self::TOLERANCE) {
      throw new RefusedSignature(sprintf('Signed at %d, outside %d seconds.', $this->created, self::TOLERANCE));
    }
    if (in_array('content-digest', $this->components, TRUE) && !self::digestMatches($digest, $body)) {
      throw new RefusedSignature('Content-Digest is not the SHA-256 of the body.');
    }
  }

  /**
   * Refuses a signature that leaves out, repeats or adds a component.
   */
  private function checkCover(string $method, string $body): void {
    $wanted = self::isSafe($method) && $body === '' ? array_slice(self::KNOWN, 0, 3) : self::KNOWN;
    $missing = array_diff($wanted, $this->components);
    if ($missing) {
      throw new RefusedSignature('The signature does not cover ' . implode(', ', $missing) . '.');
    }
    if (array_diff($this->components, self::KNOWN) || count(array_unique($this->components)) !== count($this->components)) {
      throw new RefusedSignature('The signature covers something unknown, or something twice.');
    }
  }

  /**
   * Whether a method changes nothing, so that a repeat cannot hurt.
   */
  public static function isSafe(string $method): bool {
    return in_array($method, ['GET', 'HEAD', 'OPTIONS'], TRUE);
  }

  /**
   * Whether Content-Digest holds the body's SHA-256 (RFC 9530).
   */
  private static function digestMatches(string $digest, string $body): bool {
    $expected = 'sha-256=:' . base64_encode(hash('sha256', $body, TRUE)) . ':';
    return hash_equals($expected, $digest);
  }

}

<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\Core\Session\AnonymousUserSession;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/**
 * Sends signed requests through the whole kernel, as the middleware does.
 */
trait SignsRequestsTrait {

  /**
   * The shared secret: base64 behind the prefix, as on both sides.
   */
  protected const SECRET = 'whsec_d2F5YmlsbC10ZXN0LXNlY3JldC0wMTIzNDU2Nzg5';

  /**
   * The id of the key.
   */
  protected const KEY = 'waybill-1';

  /**
   * The tag of the site.
   */
  protected const TAG = 'waybill:test-shop';

  /**
   * Builds a signed request.
   *
   * @param string $method
   *   The method.
   * @param string $target
   *   Path and query.
   * @param string $body
   *   The raw body.
   * @param array $changes
   *   What to sign wrongly: key, tag, created, nonce, secret, cover.
   * @param array $headers
   *   Further headers by name.
   */
  protected function signed(string $method, string $target, string $body = '', array $changes = [], array $headers = []): Request {
    $how = $changes + [
      'key' => self::KEY,
      'tag' => self::TAG,
      'created' => \Drupal::time()->getRequestTime(),
      'nonce' => bin2hex(random_bytes(8)),
      'secret' => self::SECRET,
      'cover' => ['@method', '@path', '@query', 'content-digest'],
    ];
    $digest = 'sha-256=:' . base64_encode(hash('sha256', $body, TRUE)) . ':';
    [$path, $query] = explode('?', $target, 2) + [1 => ''];
    $values = ['@method' => $method, '@path' => $path, '@query' => "?$query", 'content-digest' => $digest];
    $names = implode(' ', array_map(static fn (string $name): string => "\"$name\"", $how['cover']));
    $parameters = sprintf('(%s);created=%d;keyid="%s";alg="hmac-sha256";nonce="%s";tag="%s"', $names, $how['created'], $how['key'], $how['nonce'], $how['tag']);
    $lines = array_map(static fn (string $name): string => "\"$name\": $values[$name]\n", $how['cover']);
    $base = implode('', $lines) . "\"@signature-params\": $parameters";
    $key = base64_decode(substr($how['secret'], 6));
    $request = Request::create($target, $method, [], [], [], [], $body);
    $request->headers->add($headers + [
      'Content-Digest' => $digest,
      'Signature-Input' => "waybill=$parameters",
      'Signature' => 'waybill=:' . base64_encode(hash_hmac('sha256', $base, $key, TRUE)) . ':',
      'Content-Type' => 'application/json',
    ]);
    return $request;
  }

  /**
   * Lets the kernel answer a request.
   */
  protected function answer(Request $request): Response {
    $kernel = $this->container->get('http_kernel');
    $response = $kernel->handle($request);
    $kernel->terminate($request, $response);
    // The next request is another account's.
    $this->container->get('current_user')->setAccount(new AnonymousUserSession());
    return $response;
  }

  /**
   * Sends JSON, signed, and decodes the answer.
   *
   * @return array{0: int, 1: mixed}
   *   The HTTP status and the decoded body.
   */
  protected function send(string $method, string $target, mixed $body = NULL, array $headers = []): array {
    $response = $this->answer($this->signed($method, $target, $body === NULL ? '' : json_encode($body), [], $headers));
    return [$response->getStatusCode(), json_decode((string) $response->getContent(), TRUE)];
  }

}

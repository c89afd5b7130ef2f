<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\commerce_waybill\PageCache\DenySignedRequests;
use Drupal\user\Entity\Role;
use Drupal\user\UserInterface;
use Symfony\Component\HttpFoundation\Request;

/**
 * A signed request acts as its key's account; a wrong one is refused aloud.
 *
 * @group commerce_waybill
 */
class SignatureTest extends WaybillKernelTestBase {

  /**
   * The service account.
   */
  protected UserInterface $account;

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->account = $this->createUser([], 'waybill');
    $this->account->addRole('waybill')->save();
  }

  /**
   * The probe says what this site can do.
   */
  public function testTheProbeAnswersSignedRequest(): void {
    [$status, $body] = $this->send('GET', '/waybill/v1/status?x=1%202');
    self::assertSame(200, $status);
    self::assertSame('1.0', $body['api']);
    self::assertSame(['outbox', 'links', 'signatures'], $body['capabilities']);
    self::assertSame(\Drupal::VERSION, $body['drupal']);
    self::assertSame(['pending' => 0, 'oldest' => NULL, 'dead' => 0, 'last_success' => NULL], $body['outbox']);
  }

  /**
   * Without any credentials, or as somebody else, there is no answer.
   */
  public function testNobodyElseIsAnswered(): void {
    self::assertSame(401, $this->answer(Request::create('/waybill/v1/status'))->getStatusCode());
    $this->account->removeRole('waybill')->save();
    self::assertSame(403, $this->send('GET', '/waybill/v1/status')[0]);
  }

  /**
   * The role holds no more than its module needs.
   */
  public function testTheRoleHoldsTheLeastThatWorks(): void {
    self::assertSame(['use commerce_waybill'], Role::load('waybill')->getPermissions());
  }

  /**
   * Each wrong signature is a 401 that names what is wrong.
   *
   * @dataProvider wrongSignatures
   */
  public function testTheWrongSignatureIsRefusedWithItsReason(array $changes, string $reason): void {
    if (isset($changes['age'])) {
      $changes['created'] = \Drupal::time()->getRequestTime() - $changes['age'];
    }
    $response = $this->answer($this->signed('GET', '/waybill/v1/status', '', $changes));
    self::assertSame(401, $response->getStatusCode());
    self::assertStringContainsString($reason, (string) $response->headers->get('WWW-Authenticate'));
  }

  /**
   * Wrong signatures and the words of their refusal.
   */
  public static function wrongSignatures(): array {
    return [
      'another secret' => [['secret' => 'whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=='], 'does not match'],
      'an unknown key' => [['key' => 'nobody'], 'key is not known'],
      'another site' => [['tag' => 'waybill:other-shop'], 'for another site'],
      'too old' => [['age' => 301], 'outside 300 seconds'],
      'from the future' => [['age' => -301], 'outside 300 seconds'],
      'without the path' => [['cover' => ['@method', '@query', 'content-digest']], 'does not cover @path'],
      'without the query' => [['cover' => ['@method', '@path']], 'does not cover @query'],
      'twice the same' => [['cover' => ['@method', '@method', '@path', '@query']], 'something twice'],
      'no nonce' => [['nonce' => ''], 'has no nonce'],
    ];
  }

  /**
   * A body that was changed on the way.
   */
  public function testTheChangedBodyIsRefused(): void {
    $signed = $this->signed('POST', '/waybill/v1/pong', '{"ping":"a"}');
    $changed = Request::create('/waybill/v1/pong', 'POST', [], [], [], [], '{"ping":"b"}');
    $changed->headers->replace($signed->headers->all());
    $response = $this->answer($changed);
    self::assertSame(401, $response->getStatusCode());
    self::assertStringContainsString('Content-Digest is not', (string) $response->headers->get('WWW-Authenticate'));
    $bare = $this->signed('POST', '/waybill/v1/pong', '{"ping":"a"}', ['cover' => ['@method', '@path', '@query']]);
    self::assertStringContainsString('does not cover content-digest', (string) $this->answer($bare)->headers->get('WWW-Authenticate'));
  }

  /**
   * A nonce works once where something changes, again where nothing does.
   */
  public function testTheNonceOfUnsafeRequestWorksOnce(): void {
    $post = $this->signed('POST', '/waybill/v1/pong', '{"ping":"a"}');
    self::assertSame(404, $this->answer($post)->getStatusCode());
    $response = $this->answer($post);
    self::assertSame(401, $response->getStatusCode());
    self::assertStringContainsString('nonce was used', (string) $response->headers->get('WWW-Authenticate'));
    $get = $this->signed('GET', '/waybill/v1/status');
    self::assertSame([200, 200], [$this->answer($get)->getStatusCode(), $this->answer($get)->getStatusCode()]);
    $nonces = fn (): int => (int) $this->container->get('database')->query('SELECT COUNT(*) FROM {commerce_waybill_nonce}')->fetchField();
    self::assertSame(1, $nonces());
    $this->container->get('database')->update('commerce_waybill_nonce')->fields(['expires' => 1])->execute();
    commerce_waybill_cron();
    self::assertSame(0, $nonces());
  }

  /**
   * Two keys at once, so that a secret is changed without a gap.
   */
  public function testKeysRotateWithOverlap(): void {
    $this->setSetting('waybill_next', 'whsec_bmV4dC1zZWNyZXQtbmV4dC1zZWNyZXQ=');
    $settings = $this->config('commerce_waybill.settings');
    $next = ['id' => 'waybill-2', 'secret' => 'settings:waybill_next', 'account' => 'waybill'];
    $settings->set('keys', [...$settings->get('keys'), $next])->save();
    $with = ['key' => 'waybill-2', 'secret' => 'whsec_bmV4dC1zZWNyZXQtbmV4dC1zZWNyZXQ='];
    self::assertSame(200, $this->send('GET', '/waybill/v1/status')[0]);
    self::assertSame(200, $this->answer($this->signed('GET', '/waybill/v1/status', '', $with))->getStatusCode());
    $settings->set('keys', [$next])->save();
    self::assertSame(401, $this->send('GET', '/waybill/v1/status')[0]);
    self::assertSame(200, $this->answer($this->signed('GET', '/waybill/v1/status', '', $with))->getStatusCode());
  }

  /**
   * An empty secret closes the door, and so does a blocked account.
   */
  public function testEmptySecretOrBlockedAccountClosesTheDoor(): void {
    $this->account->block()->save();
    self::assertSame(401, $this->send('GET', '/waybill/v1/status')[0]);
    $this->account->activate()->save();
    foreach (['', 'whsec_', 'not base64!'] as $secret) {
      $this->setSetting('waybill_test', $secret);
      self::assertSame(401, $this->send('GET', '/waybill/v1/status')[0], $secret);
    }
  }

  /**
   * JSON:API takes signed requests too, and answers 401 to a wrong one.
   */
  public function testJsonApiTakesSignedRequests(): void {
    $order = $this->place();
    Role::load('waybill')->grantPermission('view commerce_order')->save();
    $target = '/jsonapi/commerce_order/default?filter%5Border_id%5D=' . $order->id();
    $this->container->get('router.builder')->rebuildIfNeeded();
    [$status, $body] = $this->send('GET', $target, NULL, ['Accept' => 'application/vnd.api+json']);
    self::assertSame([200, $order->uuid()], [$status, $body['data'][0]['id'] ?? $body]);
    $wrong = $this->signed('GET', $target, '', ['secret' => 'whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA==']);
    self::assertSame(401, $this->answer($wrong)->getStatusCode());
  }

  /**
   * Basic auth goes on working.
   */
  public function testBasicAuthGoesOnWorking(): void {
    $this->installConfig(['user']);
    $this->installSchema('user', ['users_data']);
    $request = Request::create('/waybill/v1/status', 'GET', [], [], [], [
      'PHP_AUTH_USER' => 'waybill',
      'PHP_AUTH_PW' => $this->account->passRaw,
    ]);
    self::assertSame(200, $this->answer($request)->getStatusCode());
  }

  /**
   * The page cache never keeps an answer to a signed request.
   */
  public function testThePageCacheLeavesSignedRequestsAlone(): void {
    $policy = new DenySignedRequests();
    self::assertSame('deny', $policy->check($this->signed('GET', '/jsonapi')));
    self::assertNull($policy->check(Request::create('/jsonapi')));
  }

}

<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\commerce_waybill\Form\SettingsForm;
use Drupal\commerce_waybill\Outbox\Ping;
use Drupal\Core\Form\FormState;
use GuzzleHttp\Promise\Create;
use GuzzleHttp\Psr7\Response;

/**
 * The settings form, its test of both directions, and the status report.
 *
 * @group commerce_waybill
 */
class ConnectionTest extends WaybillKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->createUser([], 'waybill')->addRole('waybill')->save();
    $this->container->get('module_handler')->loadInclude('commerce_waybill', 'install');
  }

  /**
   * Submits the form and gives its errors.
   */
  private function submit(array $values, string $button = 'Save configuration'): array {
    $state = (new FormState())->setValues($values + [
      'endpoint' => 'https://waybill.example/webhooks/shop',
      'secret' => 'settings:waybill_test',
      'events' => ['order.placed' => 'order.placed'],
      'timeout' => '7',
      'site_tag' => self::TAG,
      'keys' => "k1 settings:waybill_test waybill\nk2 settings:waybill_test the service",
      'console' => '',
      'op' => $button,
    ]);
    $this->container->get('form_builder')->submitForm(SettingsForm::class, $state);
    return array_map('strval', $state->getErrors());
  }

  /**
   * What a person chose is what is stored, by reference.
   */
  public function testTheFormStoresReferencesOnly(): void {
    self::assertSame([], $this->submit([]));
    $stored = $this->config('commerce_waybill.settings')->getRawData();
    self::assertSame(['order.placed'], $stored['events']);
    self::assertSame(7, $stored['timeout']);
    self::assertSame([
      ['id' => 'k1', 'secret' => 'settings:waybill_test', 'account' => 'waybill'],
      ['id' => 'k2', 'secret' => 'settings:waybill_test', 'account' => 'the service'],
    ], $stored['keys']);
    self::assertStringNotContainsString(self::SECRET, serialize($stored));
  }

  /**
   * Each mistake is said, a pasted secret without repeating it.
   */
  public function testTheFormNamesEveryMistake(): void {
    $errors = $this->submit([
      'secret' => self::SECRET,
      'site_tag' => 'shop',
      'keys' => "k1 env:WAYBILL_ABSENT waybill\nk1 settings:waybill_test waybill\nalone",
    ]);
    self::assertSame(['secret', 'site_tag', 'keys'], array_keys($errors));
    self::assertStringContainsString('not a reference', $errors['secret']);
    self::assertStringNotContainsString(self::SECRET, $errors['secret']);
  }

  /**
   * Outwards and inwards, both proven by the button.
   */
  public function testTheButtonProvesBothDirections(): void {
    $this->middleware->append(function ($request) {
      $message = json_decode((string) $request->getBody(), TRUE);
      self::assertTrue($this->container->get(Ping::class)->answer($message['data']['ping']));
      return Create::promiseFor(new Response(200));
    });
    self::assertSame([], $this->submit([], 'Save and test the connection'));
    $said = array_map('strval', $this->container->get('messenger')->messagesByType('status'));
    self::assertSame([
      'The configuration options have been saved.',
      'Outwards: the middleware took a signed message.',
      'Inwards: the middleware came back with a signed request.',
    ], $said);
  }

  /**
   * The middleware answers a ping with a signed request.
   */
  public function testThePingIsAnsweredBySignedRequest(): void {
    $this->middlewareAnswers(200);
    [$id, $status] = $this->container->get(Ping::class)->send();
    self::assertSame([200, FALSE], [$status, $this->container->get(Ping::class)->isAnswered($id)]);
    self::assertSame([404, 200], [
      $this->send('POST', '/waybill/v1/pong', ['ping' => 'another'])[0],
      $this->send('POST', '/waybill/v1/pong', ['ping' => $id])[0],
    ]);
    self::assertTrue($this->container->get(Ping::class)->isAnswered($id));
  }

  /**
   * A refusal is told apart from silence.
   */
  public function testTheButtonTellsRefusalFromSilence(): void {
    $this->middlewareAnswers(401);
    $this->submit([], 'Save and test the connection');
    $said = array_map('strval', $this->container->get('messenger')->messagesByType('error'));
    self::assertSame(['The middleware refused the signed message with HTTP 401. Do both sides have the same secret?'], $said);
    self::assertFalse($this->container->get(Ping::class)->answer('never sent'));
  }

  /**
   * The status report counts what waits and names what is wrong.
   */
  public function testTheStatusReportSaysWhatWaits(): void {
    $this->place();
    $report = commerce_waybill_requirements('runtime')['commerce_waybill'];
    self::assertSame(REQUIREMENT_OK, $report['severity']);
    self::assertStringContainsString('1 undelivered', (string) $report['value']);
    $this->container->get('database')->update('commerce_waybill_outbox')->fields(['created' => \Drupal::time()->getCurrentTime() - 3600])->execute();
    $report = commerce_waybill_requirements('runtime')['commerce_waybill'];
    self::assertSame(REQUIREMENT_WARNING, $report['severity']);
    self::assertStringContainsString('waited for 1 hour', (string) $report['description']['#items'][0]);
    self::assertSame([], commerce_waybill_requirements('install'));
  }

}

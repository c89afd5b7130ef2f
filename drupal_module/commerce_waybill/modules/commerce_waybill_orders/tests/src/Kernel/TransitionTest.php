<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

/**
 * An order moves along its workflow, and only along it.
 *
 * @group commerce_waybill
 */
class TransitionTest extends OrdersKernelTestBase {

  /**
   * A transition by its name.
   */
  public function testTransitionIsApplied(): void {
    $order = $this->place();
    self::assertSame([
      200,
      [
        'status' => 'applied',
        'order' => ['uuid' => $order->uuid(), 'state' => 'completed', 'version' => $order->getVersion() + 1],
        'transitions' => [],
      ],
    ], $this->post($order, 'transition', ['transition' => 'fulfill']));
    self::assertSame(
      ['completed', $order->getVersion() + 1],
      [$this->stored($order)->getState()->getId(), $this->stored($order)->getVersion()],
    );
    self::assertTrue($this->isFree($order));
    self::assertSame(['order.placed', 'order.fulfilled'], array_column($this->outbox(), 0));
  }

  /**
   * A transition by where it leads.
   */
  public function testTheOneTransitionToItsStateIsApplied(): void {
    $order = $this->place();
    [$status, $answer] = $this->post($order, 'transition', ['to' => 'canceled']);
    self::assertSame([200, 'applied', 'canceled'], [$status, $answer['status'], $answer['order']['state']]);
  }

  /**
   * An order that is there already is left alone.
   */
  public function testAnOrderThatIsThereIsNotSaved(): void {
    $order = $this->place();
    $this->post($order, 'transition', ['transition' => 'fulfill']);
    $version = $this->stored($order)->getVersion();
    foreach ([['transition' => 'fulfill'], ['to' => 'completed']] as $body) {
      [$status, $answer] = $this->post($order, 'transition', $body);
      self::assertSame(
        [200, 'unchanged', 'equal', $version],
        [$status, $answer['status'], $answer['reason'], $answer['order']['version']],
      );
      self::assertTrue($this->isFree($order));
    }
    self::assertSame($version, $this->stored($order)->getVersion());
    self::assertSame(3, $this->callCount());
  }

  /**
   * What the workflow does not allow is refused, and what it allows named.
   */
  public function testAnIllegalTransitionNamesTheAllowedOnes(): void {
    $order = $this->place();
    $meta = ['state' => 'fulfillment', 'allowed' => ['fulfill', 'cancel']];
    self::assertSame(
      [409, 'transition_illegal', '/transition', $meta],
      $this->refused($order, 'transition', ['transition' => 'teleport']),
    );
    self::assertSame(
      [409, 'transition_illegal', '/to', $meta],
      $this->refused($order, 'transition', ['to' => 'draft']),
    );
    self::assertSame(0, $this->callCount());
    self::assertSame($order->getVersion(), $this->stored($order)->getVersion());
  }

  /**
   * One of both, and nothing else.
   */
  public function testTheBodyIsChecked(): void {
    $order = $this->place();
    self::assertSame(
      [422, 'invalid', '', []],
      $this->refused($order, 'transition', ['transition' => 'fulfill', 'to' => 'completed']),
    );
    self::assertSame([422, 'invalid', '/transition', []], $this->refused($order, 'transition', ['transition' => 7]));
    self::assertSame(
      [422, 'field_unknown', '/state', ['fields' => ['transition', 'to']]],
      $this->refused($order, 'transition', ['state' => 'completed']),
    );
    self::assertSame([400, 'malformed', '', []], $this->refused($order, 'transition', '{"transition":'));
    self::assertSame([400, 'malformed', '', []], $this->refused($order, 'transition', '["fulfill"]'));
  }

}

<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Outbox;

use Drupal\Component\Uuid\UuidInterface;
use Drupal\Core\KeyValueStore\KeyValueExpirableFactoryInterface;

/**
 * Proves both directions: a signed message out, a signed request back.
 */
class Ping {

  /**
   * Seconds in which the middleware may answer.
   */
  private const LIFE = 300;

  public function __construct(
    private readonly Deliverer $deliverer,
    private readonly UuidInterface $uuid,
    private readonly KeyValueExpirableFactoryInterface $memory,
  ) {}

  /**
   * Sends a ping.
   *
   * @return array{0: string, 1: int}
   *   Its id, and the HTTP status with which it was taken.
   *
   * @throws \GuzzleHttp\Exception\GuzzleException
   *   When there is no answer.
   * @throws \InvalidArgumentException
   *   When there is no usable secret.
   */
  public function send(): array {
    $id = $this->uuid->generate();
    $this->memory->get('commerce_waybill')->setWithExpire("ping:$id", FALSE, self::LIFE);
    $message = [
      'type' => 'site.ping',
      'timestamp' => gmdate('Y-m-d\TH:i:s+00:00'),
      'correlation_id' => $id,
      'data' => ['ping' => $id],
    ];
    return [$id, $this->deliverer->post("ping_$id", $message, $id)];
  }

  /**
   * Takes the middleware's answer; FALSE when no such ping was sent lately.
   */
  public function answer(string $id): bool {
    $memory = $this->memory->get('commerce_waybill');
    if (!$memory->has("ping:$id")) {
      return FALSE;
    }
    $memory->setWithExpire("ping:$id", TRUE, self::LIFE);
    return TRUE;
  }

  /**
   * Whether a ping came back.
   */
  public function isAnswered(string $id): bool {
    return $this->memory->get('commerce_waybill')->get("ping:$id", FALSE) === TRUE;
  }

}

<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Action;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill_orders\Body;
use Drupal\Component\Datetime\TimeInterface;

/**
 * Notes what an order is called elsewhere.
 *
 * Links of a connection replace those of the same connection, and leave others
 * alone. The run and the time of the sync change only along with something.
 */
class SetReferences implements ActionInterface {

  private const LINK = '/^(?=.{3,190}$)[^:\s]+:.+$/Du';

  public function __construct(private readonly TimeInterface $time) {}

  /**
   * {@inheritdoc}
   */
  public function apply(OrderInterface $order, Body $body): Outcome {
    $body->only('erp_number', 'erp_status', 'links', 'run');
    $before = self::read($order);
    $after = $before;
    foreach (['erp_number', 'erp_status'] as $name) {
      $after[$name] = $body->has($name) ? $body->anyText($name, 128) : $before[$name];
    }
    if ($body->has('links')) {
      $after['links'] = $this->merge($before['links'], $body->texts('links', self::LINK));
    }
    $run = $body->anyText('run', 128);
    if ($after === $before) {
      return Outcome::unchanged('equal', ['references' => $before]);
    }
    $order->set('waybill_erp_number', $after['erp_number']);
    $order->set('waybill_erp_status', $after['erp_status']);
    $order->set('waybill_links', $after['links']);
    $order->set('waybill_synced', $this->time->getCurrentTime());
    $order->set('waybill_run', $run);
    $log = ['links' => implode(', ', $after['links'])] + $after;
    return Outcome::changed(['references' => $after], ['waybill_references' => $log]);
  }

  /**
   * Reads the references of an order.
   *
   * @return array{erp_number: string, erp_status: string, links: string[]}
   *   What the middleware set.
   */
  public static function read(OrderInterface $order): array {
    return [
      'erp_number' => (string) $order->get('waybill_erp_number')->value,
      'erp_status' => (string) $order->get('waybill_erp_status')->value,
      'links' => array_column($order->get('waybill_links')->getValue(), 'value'),
    ];
  }

  /**
   * Replaces the links of the connections that are named.
   */
  private function merge(array $known, array $links): array {
    $connection = static fn (string $link): string => strstr($link, ':', TRUE);
    $named = array_map($connection, $links);
    $others = array_filter($known, static fn (string $link): bool => !in_array($connection($link), $named, TRUE));
    $merged = array_values(array_unique([...$others, ...$links]));
    return array_diff($merged, $known) || array_diff($known, $merged) ? $merged : $known;
  }

}

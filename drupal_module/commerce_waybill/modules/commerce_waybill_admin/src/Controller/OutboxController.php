<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_admin\Controller;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\Core\Controller\ControllerBase;
use Drupal\Core\Datetime\DateFormatterInterface;
use Drupal\Core\DependencyInjection\AutowireTrait;
use Drupal\Core\Link;
use Drupal\Core\StringTranslation\TranslatableMarkup;
use Drupal\Core\Url;

/**
 * Pages of what was told and what came back.
 */
class OutboxController extends ControllerBase {

  use AutowireTrait;

  public function __construct(
    private readonly Outbox $outbox,
    private readonly DateFormatterInterface $dates,
  ) {}

  /**
   * Shows the whole outbox: what was given up first, then what waits.
   */
  public function outbox(): array {
    $summary = $this->outbox->summary();
    $page = [
      'summary' => [
        '#markup' => $this->t('@pending waiting, @dead given up. Last success: @last.', [
          '@pending' => $summary['pending'],
          '@dead' => $summary['dead'],
          '@last' => $this->date($summary['last_success'] ?? 0),
        ]),
      ],
      'retry' => $summary['dead'] ? $this->retryLink($this->t('Try all again that were given up'), 0) : [],
      '#cache' => ['max-age' => 0],
    ];
    foreach (['dead' => $this->t('Given up'), 'pending' => $this->t('Waiting'), 'delivered' => $this->t('Delivered')] as $status => $title) {
      $page[$status] = $this->table($title, $this->outbox->rows(['status' => $status]));
    }
    return $page;
  }

  /**
   * Shows one order: what left, what came back, its ids elsewhere.
   */
  public function order(OrderInterface $commerce_order): array {
    $page = [
      'console' => $this->consoleLink($commerce_order),
      'left' => $this->table($this->t('Told to the middleware'), $this->outbox->rows(['order_id' => $commerce_order->id()], 200)),
      'came' => $this->calls($commerce_order),
      'links' => [
        '#theme' => 'item_list',
        '#title' => $this->t('In other systems'),
        '#items' => array_column($commerce_order->get('waybill_links')->getValue(), 'value'),
        '#empty' => $this->t('No upstream id is known.'),
      ],
      'synced' => [
        '#markup' => $this->t('Last changed by the middleware: @when (@run)', [
          '@when' => $this->date((int) $commerce_order->get('waybill_synced')->value),
          '@run' => $commerce_order->get('waybill_run')->value ?? '–',
        ]),
      ],
      '#cache' => ['max-age' => 0],
    ];
    return $page;
  }

  /**
   * Lists what the middleware did to an order.
   *
   * Other modules add rows of time, what, outcome through
   * hook_commerce_waybill_came_back().
   */
  private function calls(OrderInterface $order): array {
    $rows = array_map(
      fn (array $row): array => [$this->date((int) $row['at']), $row['what'], $row['outcome']],
      $this->moduleHandler()->invokeAll('commerce_waybill_came_back', [$order]),
    );
    return [
      '#type' => 'table',
      '#caption' => $this->t('Came back'),
      '#header' => [$this->t('When'), $this->t('What'), $this->t('Outcome')],
      '#rows' => $rows,
      '#empty' => $this->t('Nothing came back yet.'),
    ];
  }

  /**
   * Builds a table of outbox rows.
   *
   * @param \Drupal\Core\StringTranslation\TranslatableMarkup $caption
   *   What the rows are.
   * @param object[] $rows
   *   Rows of the outbox.
   */
  private function table(TranslatableMarkup $caption, array $rows): array {
    return [
      '#type' => 'table',
      '#caption' => $caption,
      '#header' => [
        $this->t('When'),
        $this->t('Event'),
        $this->t('Order'),
        $this->t('State'),
        $this->t('Attempts'),
        $this->t('Why'),
        '',
      ],
      '#rows' => array_map($this->row(...), $rows),
      '#empty' => $this->t('None.'),
    ];
  }

  /**
   * Builds the cells of an outbox row.
   */
  private function row(object $row): array {
    return [
      $this->date((int) $row->created),
      $row->event,
      Link::createFromRoute($row->order_id, 'commerce_waybill_admin.order', ['commerce_order' => $row->order_id]),
      $row->status === 'pending' && $row->due > time() ? $this->t('waits until @time', ['@time' => $this->date((int) $row->due)]) : $row->status,
      $row->attempts,
      $row->error,
      ['data' => $row->status === 'dead' ? $this->retryLink($this->t('Try again'), (int) $row->id) : []],
    ];
  }

  /**
   * Links to the form that tries again, for those who may.
   */
  private function retryLink(TranslatableMarkup $text, int $id): array {
    $url = Url::fromRoute('commerce_waybill_admin.retry', ['id' => $id], ['query' => $this->getDestinationArray()]);
    return ['#type' => 'link', '#title' => $text, '#url' => $url, '#access' => $url->access($this->currentUser())];
  }

  /**
   * Links to the order's page in the middleware's console.
   */
  private function consoleLink(OrderInterface $order): array {
    $console = rtrim((string) $this->config('commerce_waybill.settings')->get('console'), '/');
    if ($console === '') {
      return [];
    }
    return [
      '#type' => 'link',
      '#title' => $this->t('This order in the middleware'),
      '#url' => Url::fromUri("$console/orders/find/" . $order->uuid()),
    ];
  }

  /**
   * Writes a Unix time for a person.
   */
  private function date(int $time): string {
    return $time ? $this->dates->format($time, 'short') : '–';
  }

}

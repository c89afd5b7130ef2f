<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Outbox;

use Drupal\commerce_waybill\Signing\SecretResolver;
use Drupal\commerce_waybill\Signing\StandardWebhooks;
use Drupal\commerce_waybill\Snapshot\OrderSnapshot;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\KeyValueStore\KeyValueExpirableFactoryInterface;
use Drupal\Core\Lock\LockBackendInterface;
use GuzzleHttp\ClientInterface;
use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Exception\GuzzleException;
use GuzzleHttp\RequestOptions;
use Psr\Log\LoggerInterface;
use Symfony\Component\DependencyInjection\Attribute\Autowire;

/**
 * Builds, signs and posts outbox rows, each by one deliverer at a time.
 */
class Deliverer {

  /**
   * Seconds that requests leave a middleware alone that did not answer.
   */
  private const REST = 30;

  public function __construct(
    private readonly Outbox $outbox,
    private readonly OrderSnapshot $snapshot,
    private readonly SecretResolver $secrets,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly ClientInterface $client,
    #[Autowire(service: 'lock')]
    private readonly LockBackendInterface $lock,
    private readonly KeyValueExpirableFactoryInterface $memory,
    private readonly TimeInterface $time,
    #[Autowire(service: 'logger.channel.commerce_waybill')]
    private readonly LoggerInterface $logger,
  ) {}

  /**
   * Delivers rows, until the time is over or the middleware does not answer.
   *
   * @param int[] $ids
   *   Rows to try.
   * @param float $seconds
   *   When to stop taking new ones.
   *
   * @return int
   *   How many were delivered.
   */
  public function deliver(array $ids, float $seconds): int {
    if (!$this->configFactory->get('commerce_waybill.settings')->get('endpoint') || $this->memory->get('commerce_waybill')->has('down')) {
      return 0;
    }
    $end = microtime(TRUE) + $seconds;
    $delivered = 0;
    foreach ($ids as $id) {
      if (microtime(TRUE) > $end) {
        break;
      }
      $entry = $this->outbox->claim($id);
      if ($entry === NULL) {
        continue;
      }
      try {
        $delivered += $this->tell($entry) ? 1 : 0;
      }
      catch (ConnectException $exception) {
        $this->outbox->postpone($entry, 'No connection to the middleware.');
        $this->memory->get('commerce_waybill')->setWithExpire('down', TRUE, self::REST);
        $this->logger->warning('The Waybill middleware cannot be reached; events wait in the outbox.');
        break;
      }
    }
    return $delivered;
  }

  /**
   * Delivers everything that is due; for cron and Drush.
   *
   * @param float $seconds
   *   How long it may take.
   * @param int $limit
   *   How many rows at most.
   *
   * @return int
   *   How many were delivered.
   */
  public function deliverDue(float $seconds, int $limit = 1000): int {
    $this->memory->get('commerce_waybill')->delete('down');
    return $this->deliver($this->outbox->due($limit), $seconds);
  }

  /**
   * Posts one message that is not in the outbox; the reply's status.
   *
   * @param string $id
   *   The message's id.
   * @param array $message
   *   What is said.
   * @param string $correlation_id
   *   What it belongs to.
   *
   * @return int
   *   The HTTP status.
   *
   * @throws \GuzzleHttp\Exception\GuzzleException
   *   When there is no answer.
   * @throws \InvalidArgumentException
   *   When there is no usable secret.
   */
  public function post(string $id, array $message, string $correlation_id): int {
    $settings = $this->configFactory->get('commerce_waybill.settings');
    $body = json_encode($message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
    $secret = $this->secrets->resolve((string) $settings->get('secret'));
    $headers = StandardWebhooks::headers($id, $this->time->getCurrentTime(), $body, $secret) + [
      'Content-Type' => 'application/json',
      'X-Correlation-ID' => $correlation_id,
    ];
    $response = $this->client->request('POST', $settings->get('endpoint'), [
      RequestOptions::BODY => $body,
      RequestOptions::HEADERS => $headers,
      RequestOptions::CONNECT_TIMEOUT => (int) $settings->get('connect_timeout'),
      RequestOptions::TIMEOUT => (int) $settings->get('timeout'),
      RequestOptions::HTTP_ERRORS => FALSE,
      RequestOptions::ALLOW_REDIRECTS => FALSE,
    ]);
    return $response->getStatusCode();
  }

  /**
   * Tells one event, and records how it went; TRUE when it was accepted.
   */
  private function tell(Entry $entry): bool {
    try {
      $message = $this->message($entry);
      if ($message === NULL) {
        $this->outbox->end($entry, 'skipped', 'The order does not exist any more.');
        return FALSE;
      }
      $status = $this->post($entry->deliveryId, $message, $entry->correlationId);
    }
    catch (ConnectException $exception) {
      throw $exception;
    }
    catch (GuzzleException $exception) {
      $this->outbox->postpone($entry, 'The middleware did not answer: ' . $exception::class);
      return FALSE;
    }
    catch (\Throwable $exception) {
      // Outermost recorder of a row: whatever the snapshot throws is the row's
      // own trouble. The message may hold personal data, the class does not.
      $this->outbox->postpone($entry, sprintf('%s in %s line %d', $exception::class, basename($exception->getFile()), $exception->getLine()));
      $this->logger->error('Waybill could not build event @event of order @order: @class', [
        '@event' => $entry->event,
        '@order' => $entry->orderId,
        '@class' => $exception::class,
      ]);
      return FALSE;
    }
    if ($status >= 200 && $status < 300) {
      $this->outbox->end($entry, 'delivered');
      return TRUE;
    }
    $this->outbox->postpone($entry, "The middleware answered HTTP $status.");
    return FALSE;
  }

  /**
   * Builds what an event says; NULL when its order is gone.
   *
   * Number and content are taken under one lock: a higher number never holds
   * older content, whatever the order in which transactions committed.
   */
  private function message(Entry $entry): ?array {
    $head = [
      'type' => $entry->event,
      'timestamp' => gmdate('Y-m-d\TH:i:s+00:00', $entry->created),
      'correlation_id' => $entry->correlationId,
    ];
    if ($entry->data !== NULL) {
      return $head + ['data' => ['signal' => $entry->data]];
    }
    $name = "commerce_waybill_order:$entry->orderId";
    if (!$this->lock->acquire($name) && ($this->lock->wait($name) || !$this->lock->acquire($name))) {
      throw new \RuntimeException('The order is being read by another deliverer.');
    }
    try {
      $number = $this->outbox->nextNumber($entry);
      $order = $this->snapshot->of($entry->orderId);
      return $order === NULL ? NULL : $head + ['sequence' => $number, 'data' => ['order' => $order]];
    }
    finally {
      $this->lock->release($name);
    }
  }

}

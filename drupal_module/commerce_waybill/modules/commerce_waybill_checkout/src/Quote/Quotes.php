<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Quote;

use Drupal\commerce_price\Price;
use Drupal\commerce_price\RounderInterface;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Cache\CacheBackendInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\KeyValueStore\KeyValueExpirableFactoryInterface;
use GuzzleHttp\Exception\ClientException;
use Psr\Log\LoggerInterface;

/**
 * Amounts that another system computes: from the cache, or soon, or not.
 *
 * A fresh amount is used as it is. Else the system is asked, within a hard
 * time limit; when it does not answer, an old amount is used, and nobody asks
 * for a while. What happens without any amount is the caller's declared rule.
 */
class Quotes {

  /**
   * Seconds for which nobody asks after there was no good answer.
   */
  private const REST = 60;

  public function __construct(
    private readonly QuoteRequest $request,
    private readonly CacheBackendInterface $cache,
    private readonly KeyValueExpirableFactoryInterface $memory,
    private readonly RounderInterface $rounder,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly TimeInterface $time,
    private readonly LoggerInterface $logger,
  ) {}

  /**
   * Gives an amount for what is asked.
   *
   * @param string $kind
   *   One of "tax" and "shipping".
   * @param array $question
   *   What the amount depends on, see OrderQuestion. The same question has the
   *   same answer for a while.
   * @param string $currency
   *   The currency that the amount must be in.
   *
   * @return \Drupal\commerce_price\Price|null
   *   The amount, rounded, or NULL when nothing is known.
   */
  public function amount(string $kind, array $question, string $currency): ?Price {
    $settings = $this->configFactory->get('commerce_waybill_checkout.settings');
    $message = ['kind' => $kind, 'currency_code' => $currency, 'question' => $question];
    $id = "$kind:" . hash('sha256', serialize($message));
    $known = $this->cache->get($id)->data ?? NULL;
    $age = $known ? $this->time->getCurrentTime() - $known['at'] : PHP_INT_MAX;
    $number = $age <= (int) $settings->get('quote_fresh') ? $known['number'] : $this->ask($id, $message);
    if ($number === NULL && $age <= (int) $settings->get('quote_usable')) {
      $number = $known['number'];
    }
    return $number === NULL ? NULL : $this->rounder->round(new Price($number, $currency));
  }

  /**
   * Asks the other system, unless it had no good answer just now.
   *
   * @return string|null
   *   The amount as a decimal number.
   */
  private function ask(string $id, array $message): ?string {
    $settings = $this->configFactory->get('commerce_waybill_checkout.settings');
    $memory = $this->memory->get('commerce_waybill_checkout');
    if ((string) $settings->get('quote_endpoint') === '' || $memory->has('rest') || $memory->has("rest:$id")) {
      return NULL;
    }
    try {
      $number = $this->request->send($message);
      $now = $this->time->getCurrentTime();
      $this->cache->set($id, ['number' => $number, 'at' => $now], $now + (int) $settings->get('quote_usable'));
      return $number;
    }
    // Whatever goes wrong out there, the checkout goes on.
    catch (\Throwable $exception) {
      // Who answers at once, but not this, may be asked something else.
      $is_there = $exception instanceof \UnexpectedValueException || $exception instanceof ClientException;
      $memory->setWithExpire($is_there ? "rest:$id" : 'rest', TRUE, self::REST);
      // The class only: a message may hold what the other system said.
      $this->logger->warning('No @kind amount came: @why', ['@kind' => $message['kind'], '@why' => $exception::class]);
      return NULL;
    }
  }

}

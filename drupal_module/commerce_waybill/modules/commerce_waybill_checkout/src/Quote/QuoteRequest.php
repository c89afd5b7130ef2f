<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Quote;

use Drupal\commerce_waybill\Signing\SecretResolver;
use Drupal\commerce_waybill\Signing\StandardWebhooks;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Component\Uuid\UuidInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use GuzzleHttp\ClientInterface;
use GuzzleHttp\RequestOptions;

/**
 * Posts one signed question and reads the amount from the answer.
 */
class QuoteRequest {

  public function __construct(
    private readonly ClientInterface $client,
    private readonly SecretResolver $secrets,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly UuidInterface $uuid,
    private readonly TimeInterface $time,
  ) {}

  /**
   * Asks within the time limit.
   *
   * @param array $message
   *   What is asked: kind, currency_code, question.
   *
   * @return string
   *   The amount as a decimal number that is not negative.
   *
   * @throws \GuzzleHttp\Exception\GuzzleException
   *   When no answer came in time, or an error.
   * @throws \UnexpectedValueException
   *   When the answer holds no such amount in the currency.
   * @throws \InvalidArgumentException
   *   When there is no secret to sign with.
   */
  public function send(array $message): string {
    $settings = $this->configFactory->get('commerce_waybill_checkout.settings');
    // Zero would mean: without limit.
    $seconds = max(0.1, (float) $settings->get('quote_timeout'));
    $body = json_encode($message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
    $response = $this->client->request('POST', (string) $settings->get('quote_endpoint'), [
      RequestOptions::BODY => $body,
      RequestOptions::HEADERS => ['Content-Type' => 'application/json'] + $this->signature($body),
      RequestOptions::CONNECT_TIMEOUT => min(0.5, $seconds),
      RequestOptions::TIMEOUT => $seconds,
      RequestOptions::ALLOW_REDIRECTS => FALSE,
    ]);
    $amount = json_decode((string) $response->getBody(), TRUE)['amount'] ?? NULL;
    $number = is_array($amount) && ($amount['currency_code'] ?? '') === $message['currency_code'] ? $amount['number'] ?? NULL : NULL;
    if (!is_string($number) || !preg_match('/^\d{1,12}(\.\d{1,6})?$/D', $number)) {
      throw new \UnexpectedValueException('The answer holds no amount in the currency.');
    }
    return $number;
  }

  /**
   * Signs a body with the secret of the events.
   */
  private function signature(string $body): array {
    $secret = $this->secrets->resolve((string) $this->configFactory->get('commerce_waybill.settings')->get('secret'));
    return StandardWebhooks::headers('quote_' . $this->uuid->generate(), $this->time->getCurrentTime(), $body, $secret);
  }

}
